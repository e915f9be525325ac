# SPDX-License-Identifier: Apache-2.0
"""The maps a cluster agrees on: CRUSH, OSDs, monitors. Writing gives the bytes that were read."""
