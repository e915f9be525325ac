# SPDX-License-Identifier: Apache-2.0
"""What a user can ask for. None imports another; they meet in contracts."""
