# SPDX-License-Identifier: Apache-2.0
"""What a manager decides and shows, pure."""
