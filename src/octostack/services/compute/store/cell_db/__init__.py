# SPDX-License-Identifier: Apache-2.0
"""What belongs to one cell: its servers and its hosts."""
