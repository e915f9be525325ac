# SPDX-License-Identifier: Apache-2.0
"""Bytes to values and back. No input or output, no clock, no asyncio."""
