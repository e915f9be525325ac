# SPDX-License-Identifier: Apache-2.0
"""What Placement decides, without I/O: the world in memory, candidates, claims, query strings."""
