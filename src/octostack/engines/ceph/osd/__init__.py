# SPDX-License-Identifier: Apache-2.0
"""An object storage daemon: its store, what it does to objects, and how copies agree."""
