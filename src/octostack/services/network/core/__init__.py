# SPDX-License-Identifier: Apache-2.0
"""Decisions without I/O: which address, which segment, do these rules clash, what a host knows."""
