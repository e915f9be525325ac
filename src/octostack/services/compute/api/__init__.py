# SPDX-License-Identifier: Apache-2.0
"""The handlers: read, decide in `core`, write, wake a loop, show by `schema`."""
