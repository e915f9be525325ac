# SPDX-License-Identifier: Apache-2.0
"""How copies of a placement group agree: pure decisions on plain values."""
