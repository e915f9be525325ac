# SPDX-License-Identifier: Apache-2.0
"""What Image does by itself: imports, and the removal of leavings."""
