# SPDX-License-Identifier: Apache-2.0
"""What Compute decides: awaits nothing, opens nothing, reads no clock."""
