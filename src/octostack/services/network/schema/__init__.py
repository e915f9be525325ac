# SPDX-License-Identifier: Apache-2.0
"""What goes in and out: one declared table per resource, and the words to declare it in.

`types` are the kinds of values, `resource` is what a table of attributes can do; every other file
is one resource's table.
"""
