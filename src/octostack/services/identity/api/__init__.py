# SPDX-License-Identifier: Apache-2.0
"""Handlers: read, decide, write, view."""
