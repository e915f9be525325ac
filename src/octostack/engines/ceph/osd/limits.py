# SPDX-License-Identifier: Apache-2.0
"""Who is not served, and what is not written where there is no room, by the map."""

import errno

from octostack.engines.ceph.osd.requests import WRITE
from octostack.wire.ceph.addresses import Address, Addresses
from octostack.wire.ceph.maps.osdmap import OSDMap, OSDState
from octostack.wire.ceph.maps.pool import PoolFlag
from octostack.wire.ceph.messages.osdop import OSDOp
from octostack.wire.ceph.opcodes import Code

FULL_TRY, FULL_FORCE = 0x800000, 0x1000000  # flags of an operation: try, or do it, all the same
_OSD_FULL, _POOL_FULL = int(OSDState.FULL), int(PoolFlag.FULL)  # asked for each write
_FREEING = frozenset({Code.DELETE, Code.TRUNCATE, Code.ZERO, Code.OMAP_CLEAR, Code.OMAP_REMOVE})


def is_blocked(osdmap: OSDMap, where: Addresses) -> bool:
    """Whether a client is on the blocklist, by itself or as all of its host."""
    for address in where:
        for blocked in osdmap.blocklist:
            if _is_it(blocked, address):
                return True
    return False


def _is_it(blocked: Address, address: Address) -> bool:
    same_port = (
        blocked.port in {0, address.port} if not blocked.nonce else (blocked.port == address.port)
    )
    return blocked.host == address.host and same_port and blocked.nonce in {0, address.nonce}


def refusal(osdmap: OSDMap, osd: int, op: OSDOp, where: Addresses) -> int:
    """The errno, positive, that an operation gets because of the map, or because of names that
    are too long; 0: it may be done.

    Where there is no room ENOSPC, and EDQUOT at a quota; what gives room back is done.
    """
    if osdmap.blocklist and is_blocked(osdmap, where):
        return ESHUTDOWN
    if max(len(op.name), len(op.locator.key)) > NAME_BYTES_MAX:
        return errno.ENAMETOOLONG
    if len(op.locator.namespace) > NAMESPACE_BYTES_MAX:
        return errno.ENAMETOOLONG
    if not op.flags & WRITE or op.flags & FULL_FORCE:
        return 0
    pool = osdmap.pools.get(op.pg.pool)
    flags = int(pool.flags) if pool is not None else 0
    is_full = osd < osdmap.max_osd and bool(int(osdmap.osd_state[osd]) & _OSD_FULL)
    if not (flags & _POOL_FULL or is_full):
        return 0
    if any(one.code in _FREEING for one in op.ops):
        return 0
    return errno.EDQUOT if flags & PoolFlag.FULL_QUOTA else errno.ENOSPC


NAME_BYTES_MAX, NAMESPACE_BYTES_MAX = 2048, 256  # osd_max_object_name_len, _namespace_len
ESHUTDOWN = 108  # what Ceph calls EBLOCKLISTED
