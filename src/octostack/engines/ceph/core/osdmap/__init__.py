# SPDX-License-Identifier: Apache-2.0
"""What the OSD map says: who exists and is up, and which OSDs hold a placement group.

The map itself is `wire.ceph.maps.osdmap.OSDMap`, a frozen value. `change` makes the next epoch of
it, `diff` the change between two; `placement` maps objects and groups; `pools` has the numbers of
groups; `intervals` tells when peering must start again; `balance` evens out with upmap entries.
"""
