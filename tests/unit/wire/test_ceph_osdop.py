# SPDX-License-Identifier: Apache-2.0
"""MOSDOp and its reply: what is written comes back, and garbage does no harm."""

import random

import pytest

from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import Envelope, Outgoing
from octostack.wire.ceph.messages import osdop
from octostack.wire.ceph.messages.osdop import OSDOp, OSDOpReply, RawOp
from octostack.wire.ceph.objects import PG, EVersion, Locator

OPS = [RawOp(0x2201, 0, bytes(range(28)), b"x" * 4096), RawOp(0x1201), RawOp(0x2301, 2, b"p" * 28)]


def envelope(out: Outgoing, front: bytes | None = None) -> Envelope:
    whole = out.front if front is None else front
    return Envelope(out.type, out.version, out.compat, out.tid, 1, 0, 127, whole, b"", out.data)


@pytest.mark.parametrize(
    "locator",
    [
        Locator(3),
        Locator(3, hash=7),
        Locator(3, b"key"),
        Locator(3, namespace=b"ns"),
        Locator(3, b"k", b"n", 5),
    ],
)
@pytest.mark.parametrize("snaps", [(), (9, 4, 1)])
def test_an_operation_comes_back(locator: Locator, snaps: tuple[int, ...]) -> None:
    op = OSDOp(PG(3, 17), 0xDEADBEEF, 12, 0x24, locator, b"name", OPS, 99, -1, 2, 10**18 + 5)
    op.snaps, op.snap_seq = snaps, 9
    out = osdop.encode_op(op)
    assert osdop.decode_op(envelope(out)) == op


@pytest.mark.parametrize("count", [0, 1, 16, 17, 300])
def test_a_reply_comes_back(count: int) -> None:
    ops, results = (OPS * 100)[:count], ([0, -2, 5] * 100)[:count]
    reply = OSDOpReply(b"name", PG(3, 17), 0x25, -2, 12, ops, results, 1, EVersion(12, 7), 6, 99)
    assert osdop.decode_reply(envelope(osdop.encode_reply(reply))) == reply


def test_garbage_is_malformed_and_nothing_worse() -> None:
    out = osdop.encode_op(OSDOp(PG(3, 17), 1, 12, 0x24, Locator(3), b"name", OPS))
    refused = 0
    for seed in range(2000):
        rng = random.Random(seed)
        front = bytearray(out.front)
        if rng.random() < 0.5:
            del front[rng.randrange(len(front)) :]
        else:
            front[rng.randrange(len(front))] = rng.randrange(256)
        try:
            osdop.decode_op(envelope(out, bytes(front)))
        except Malformed:
            refused += 1
    assert refused > 900
