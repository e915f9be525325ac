# SPDX-License-Identifier: Apache-2.0
"""Where an OSD keeps its objects: one interface, in memory and on a disk."""
