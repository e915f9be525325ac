# SPDX-License-Identifier: Apache-2.0
"""What copies tell one another, as bytes and back: large writes travel beside the rest."""

import pytest

from octostack.engines.ceph.osd import messages
from octostack.engines.ceph.osd.core.log import Entry, Kind
from octostack.engines.ceph.osd.core.values import Copy, Push, RepOp
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import Envelope, Outgoing
from octostack.wire.ceph.objects import PG, SNAP_HEAD, EVersion, HObject, ShardPG

C = ShardPG(PG(1, 0))
WHAT = HObject(b"what", b"", SNAP_HEAD, 7, False, b"", 1)
LARGE = b"abcdefgh" * (4 << 10)


def _message(*changes: api.Change) -> RepOp:
    entry = Entry(Kind.MODIFY, WHAT, EVersion(3, 4), EVersion(3, 2))
    return RepOp(epoch=3, changes=list(changes), entries=[entry], trim_to=EVersion(1, 1))


def _arrived(sent: Outgoing, data: bytes | None = None) -> Envelope:
    arrived = bytes(sent.data) if data is None else data
    return Envelope(
        sent.type, sent.version, sent.compat, 0, 1, 0, 127, sent.front, sent.middle, arrived
    )


def _write(data: bytes, offset: int = 0) -> api.Write:
    return api.Write(C, WHAT, offset, data)


ATTRS = api.SetAttrs(C, WHAT, {b"_": b"info"})


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (ATTRS,),
        (_write(b"small", 5), ATTRS),
        (_write(LARGE, 4096), ATTRS),
        (_write(LARGE), _write(b"small", 9), _write(LARGE[::-1], 1 << 20), ATTRS),
    ],
)
def test_a_change_arrives_as_it_was_sent(changes: tuple[api.Change, ...]) -> None:
    message = _message(*changes)
    assert messages.decode(_arrived(messages.encode(C, message))) == (C, message)


def test_a_large_write_is_sent_from_where_it_is() -> None:
    data = memoryview(bytearray(LARGE))
    sent = messages.encode(C, _message(api.Write(C, WHAT, 0, data), ATTRS))
    assert sent.data is data
    assert len(sent.front) < 500


def test_a_small_write_is_what_an_older_osd_reads() -> None:
    sent = messages.encode(C, _message(_write(b"small")))
    assert (sent.version, sent.compat, sent.front) == (1, 1, b"")


@pytest.mark.parametrize("data", [b"", LARGE[:-1], LARGE + b"x"])
def test_bytes_that_are_not_as_many_as_named_are_refused(data: bytes) -> None:
    sent = messages.encode(C, _message(_write(LARGE)))
    with pytest.raises(Malformed):
        messages.decode(_arrived(sent, data))


def test_lengths_without_bytes_apart_are_refused() -> None:
    sent = messages.encode(C, _message(_write(LARGE)))
    packed = Outgoing(sent.type, b"", 1, 1, data=sent.front)
    with pytest.raises(Malformed):
        messages.decode(_arrived(packed))


def test_a_message_of_a_later_version_is_refused() -> None:
    sent = messages.encode(C, _message(ATTRS))
    sent.compat = 4
    with pytest.raises(Malformed):
        messages.decode(_arrived(sent))


def _push(*extents: tuple[int, bytes]) -> Push:
    copy = Copy(WHAT, EVersion(3, 4), True, 1 << 21, [*extents], {b"_": b"info"}, {b"k": b"v"})
    return Push(epoch=3, copy=copy)


@pytest.mark.parametrize(
    "extents",
    [(), ((0, b"small"),), ((0, LARGE),), ((0, LARGE), (1 << 20, b"small"), (2 << 20, LARGE))],
)
def test_an_object_arrives_as_it_was_sent(extents: tuple[tuple[int, bytes], ...]) -> None:
    message = _push(*extents)
    assert messages.decode(_arrived(messages.encode(C, message))) == (C, message)


def test_an_object_is_sent_from_where_it_is() -> None:
    data = memoryview(bytearray(LARGE))
    sent = messages.encode(C, _push((0, data)))  # type: ignore[arg-type]
    assert sent.data is data
    assert len(sent.front) < 500


@pytest.mark.parametrize("data", [b"", LARGE[:-1], LARGE + b"x"])
def test_bytes_of_an_object_that_are_not_as_many_as_named_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        messages.decode(_arrived(messages.encode(C, _push((0, LARGE))), data))
