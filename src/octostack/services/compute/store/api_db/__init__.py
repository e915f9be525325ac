# SPDX-License-Identifier: Apache-2.0
"""What is global: one database above all cells."""
