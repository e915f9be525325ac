# SPDX-License-Identifier: Apache-2.0
"""A whole private cloud in one package."""

__version__ = "0.1.0"
