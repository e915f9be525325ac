# SPDX-License-Identifier: Apache-2.0
"""Composition: the only place that sees everything."""
