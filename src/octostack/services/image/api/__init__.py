# SPDX-License-Identifier: Apache-2.0
"""Handlers, one module per resource; `contract` answers other services."""
