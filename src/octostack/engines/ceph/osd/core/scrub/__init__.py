# SPDX-License-Identifier: Apache-2.0
"""Comparing the copies of a group with one another, and mending what differs."""
