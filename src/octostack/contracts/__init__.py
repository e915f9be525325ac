# SPDX-License-Identifier: Apache-2.0
"""Promises between the parts: typed messages and abstract classes, no behaviour."""
