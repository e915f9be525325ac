# SPDX-License-Identifier: Apache-2.0
"""An object storage daemon: its store, what it does to objects, and how copies agree.

* What comes in: `daemon` has the connections, and asks `access` and `limits`; `requests` is a
  client's request as values. `maps` and `epochs` follow the OSD map, `monitors`, `managers` and
  `telling` speak to those, `peers` and `heartbeats` to other OSDs.
* What is done to an object: `group`, by way of `ops` and, for object classes, `cls`.
* How it comes to be on several disks: `copies` has all copies of groups here; `replicated` is one
  of them, `sharded` one of an erasure-coded group. They tie `core` (agreement, log, recovery,
  scrub: all pure) to the store.
* Where it is kept: `objectstore`.

Read first: `requests`, `group`, `core.peering`, `objectstore.api`.
"""
