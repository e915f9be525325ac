# SPDX-License-Identifier: Apache-2.0
"""Handlers: `crud` is what all resources share; each other file is what one noun adds."""
