# SPDX-License-Identifier: Apache-2.0
"""The map of managers: there is none, as monitors do themselves what managers are for."""

from octostack.wire.ceph.addresses import write_addresses
from octostack.wire.ceph.codec import Writer


def encode_mgrmap(epoch: int = 1) -> bytes:
    """MgrMap, version 6: no active manager, no standbys, no modules."""
    w = Writer()
    with w.versioned(6, 6):
        w.u32(epoch)
        write_addresses(w, ())
        w.u64(0)  # global id of the active one
        w.boolean(False)
        w.string("")
        w.u32(0)  # standbys
        w.u32(0)  # modules
        w.u32(0)  # services
        w.u32(0)  # available modules
        w.utime(0)
    return w.done()
