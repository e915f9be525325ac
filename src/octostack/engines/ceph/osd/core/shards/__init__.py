# SPDX-License-Identifier: Apache-2.0
"""An object of an erasure-coded group, spread over shards: stripes, pieces, and how to undo."""
