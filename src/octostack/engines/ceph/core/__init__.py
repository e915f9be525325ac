# SPDX-License-Identifier: Apache-2.0
"""What monitors, OSDs and clients compute alike from the maps: no input, no output, no clock."""
