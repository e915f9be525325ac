# SPDX-License-Identifier: Apache-2.0
"""Erasure codes: k pieces of data and m of parity, any k of which give back the rest."""
