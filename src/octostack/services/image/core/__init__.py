# SPDX-License-Identifier: Apache-2.0
"""What Image decides, without I/O."""
