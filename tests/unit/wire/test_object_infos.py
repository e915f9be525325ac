# SPDX-License-Identifier: Apache-2.0
"""What a real OSD (16.2.15) keeps of an object, byte by byte: the attribute `_` of an object of
12,000 bytes in an erasure-coded pool, as ceph-objectstore-tool shows it."""

from octostack.wire.ceph import objectinfo
from octostack.wire.ceph.codec import NANOS
from octostack.wire.ceph.objectinfo import ObjectInfo
from octostack.wire.ceph.objects import SNAP_HEAD, EVersion, HObject

REAL = bytes.fromhex(
    "1108fd000000040325000000000000000400000066696e65feffffffffffffff1905649100000000000a0000"
    "000000000006031c0000000a00000000000000ffffffff0000000000000000ffffffffffffffff0000000014"
    "000000000000005600000013000000000000005600000002021500000008e837000000000000010000000000"
    "000000000000e02e000000000000748a036b073eca0002021500000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000140000000000000000000000000000000014"
    "000000748a036b77912b01268e3980ffffffff0000000000000000000000000000000000000000"
)
SECOND = 0x6B038A74
FINE = ObjectInfo(
    HObject(b"fine", b"", SNAP_HEAD, 0x91640519, False, b"", 10),
    EVersion(86, 20),
    EVersion(86, 19),
    20,
    12_000,
    SECOND * NANOS + 13_254_151,
    (14312, 1, 0),
    made_ns=SECOND * NANOS + 0x012B9177,
    digest=0x80398E26,
)


def test_an_object_is_written_as_by_the_real_one() -> None:
    assert objectinfo.encode(FINE) == REAL
