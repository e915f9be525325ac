# SPDX-License-Identifier: Apache-2.0
"""The nouns (`nouns`) and the failures (`faults`) of the network service."""
