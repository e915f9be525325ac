# SPDX-License-Identifier: Apache-2.0
"""CRUSH for many inputs at once, with numpy: the same results as `crush.rules`, input by input.

Every step is taken for all inputs together, those that must try again shrink to fewer and fewer.
Draws are made in blocks that stay in the processor's cache. What is rare in maps of today (buckets
other than straw2 and straw, local retries) is left to the one-by-one code.
"""
