# SPDX-License-Identifier: Apache-2.0
"""Placement's rows, and the ledger that keeps rows and memory in step."""
