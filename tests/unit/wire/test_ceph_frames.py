# SPDX-License-Identifier: Apache-2.0
"""Frames in both modes, cut at every place, and damaged."""

import random
import struct

import pytest

from octostack.wire.ceph import checksum, frames, handshake, secure
from octostack.wire.ceph.checksum import crc32c
from octostack.wire.ceph.codec import Malformed

SECRET = bytes(range(64))
SHAPES = [
    (b"",),
    (b"x",),
    (b"h" * 41, b"front"),
    (b"h" * 41, b"front", b"", b"data"),
    (b"h" * 48, b"", b"", b"d" * 4096),
    (b"h" * 49, b"f" * 33, b"m" * 16),
    (b"h" * 41, b"f" * 200, b"", bytes(300_000)),
    (b"h" * 70_000,),
]


def received(receiver: frames.Receiver, data: bytes, step: int) -> list[frames.Frame]:
    found = []
    view = memoryview(data)
    while view:
        room = receiver.buffer()
        count = min(step, len(room), len(view))
        room[:count] = view[:count]
        receiver.received(count)
        view = view[count:]
        while (frame := receiver.next_frame()) is not None:
            found.append(frame)
    return found


def plain(frame: frames.Frame) -> tuple[bytes, ...]:
    return tuple(bytes(s) for s in frame.segments)


@pytest.mark.parametrize("is_secure", [False, True])
@pytest.mark.parametrize("step", [1, 31, 4096, 1 << 20])
def test_frames_come_back_however_they_are_cut(is_secure: bool, step: int) -> None:
    seal, _ = secure.streams(SECRET, client=True)
    _, opener = secure.streams(SECRET, client=False)
    shapes = SHAPES[:6] if step == 1 else SHAPES * 3
    data = b"".join(
        bytes(b)
        for shape in shapes
        for b in frames.encode(frames.MESSAGE, shape, seal if is_secure else None)
    )
    receiver = frames.Receiver()
    receiver.opener = opener if is_secure else None
    found = received(receiver, data, step)
    assert [plain(f) for f in found] == shapes


def test_frames_cut_by_a_layout_are_those_cut_piece_by_piece() -> None:
    """As large ones are."""
    rng = random.Random(3)
    shapes = [(b"h", *(rng.randbytes(rng.choice((0, 9))) for _ in "fm"), b"d") for _ in range(20)]
    for segments in [*shapes, *SHAPES[1:6]]:
        (data,) = frames.encode(frames.MESSAGE, segments)
        preamble, body = bytes(data[:32]), bytes(data[32:])
        shape = frames._shape(preamble)
        assert shape.layout is not None
        frame = frames._cut(shape, shape.layout.unpack(body))
        assert frame == frames.Receiver._plain(shape, body) == frames.Frame(17, segments)


def test_the_bytes_of_a_small_frame() -> None:
    """As 16.2.15 sends KEEPALIVE2: a preamble, the segment, its crc."""
    (data,) = frames.encode(frames.Tag.KEEPALIVE2, (bytes(8),))
    head = "1201" + "08000000" + "0800" + "0000000000000000000000000000000000000000"
    assert bytes(data[:28]).hex() == head
    assert struct.unpack("<I", data[28:32])[0] == crc32c(data[:28], 0)
    assert len(data) == 32 + 8 + 4


def test_checksums_of_large_buffers_are_the_same() -> None:
    data = random.Random(1).randbytes(100_000)
    whole = crc32c(data)
    for buffer in (bytearray(data), memoryview(data), memoryview(bytearray(b"x" + data))[1:]):
        assert crc32c(buffer) == whole
    assert crc32c(data[50_000:], crc32c(data[:50_000])) == whole
    assert crc32c(b"") == 0xFFFFFFFF


def test_an_aborted_frame_is_passed_over() -> None:
    aborted = bytearray(frames.encode(frames.MESSAGE, (b"h", b"f"))[0])
    aborted[-13] = 0x01
    whole = bytes(aborted) + frames.encode(frames.MESSAGE, (b"h", b"g"))[0]
    assert [plain(f) for f in received(frames.Receiver(), whole, 64)] == [(b"h", b"g")]


def preamble(*fields: int) -> bytes:
    head = struct.pack("<BBIHIHIHIHBB", *fields)
    return head + struct.pack("<I", crc32c(head, 0))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (bytes(31) + b"x", "checksum of a preamble"),
        (preamble(17, 0, *[0] * 8, 0, 0), "0 segments"),
        (preamble(17, 5, *[0] * 8, 0, 0), "5 segments"),
        (preamble(17, 2, 8, 8, 0, 8, 0, 0, 0, 0, 0, 0), "last segment"),
        (preamble(17, 1, 8, 8, 9, 8, 0, 0, 0, 0, 0, 0), "not counted"),
        (preamble(17, 1, 8, 8, 0, 0, 0, 0, 0, 0, 1, 0), "flags"),
        (preamble(17, 4, 41, 8, 9, 8, 0, 8, 0xFFFFFFFF, 4096, 0, 0), "are allowed"),
        (preamble(18, 1, 1 << 20, 8, 0, 0, 0, 0, 0, 0, 0, 0), "are allowed"),
        (preamble(18, 1, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0) + bytes(12), "checksum of a segment"),
    ],
)
def test_bad_frames_are_refused_at_once(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        received(frames.Receiver(), data, 1 << 20)


@pytest.mark.parametrize("is_secure", [False, True])
def test_no_flipped_bit_gets_through(is_secure: bool) -> None:
    shape = (b"h" * 41, b"front", b"", b"data" * 20)
    rng = random.Random(7)
    for _ in range(300):
        seal, _ = secure.streams(SECRET, client=True)
        receiver = frames.Receiver()
        receiver.opener = secure.streams(SECRET, client=False)[1] if is_secure else None
        data = bytearray(frames.encode(frames.MESSAGE, shape, seal if is_secure else None)[0])
        at = rng.randrange(len(data) * 8)
        data[at // 8] ^= 1 << at % 8
        try:
            found = received(receiver, bytes(data), 1 << 20)
        except Malformed:
            continue
        # what no checksum covers in crc mode: the unused half of the status, the unused crc slot
        assert not is_secure
        assert [plain(f) for f in found] in ([shape], [])


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(Malformed):
        secure.streams(bytes(16), client=True)


@pytest.mark.parametrize(
    "control",
    [
        handshake.AuthRequest(2, (2, 1), b"p"),
        handshake.AuthBadMethod(1, -95, (2,), (2, 1)),
        handshake.AuthDone(4100, 2, b"tickets"),
        handshake.MissingFeatures(5),
        handshake.Reset(True),
        handshake.Retry(3),
        handshake.RetryGlobal(9),
        handshake.Wait(),
        handshake.KeepaliveAck(5_000_000_007),
        handshake.Ack(77),
    ],
)
def test_control_frames_come_back(control: handshake.Control) -> None:
    tag, segment = handshake.encode(control)
    assert handshake.decode(tag, (segment,)) == control


def test_a_sum_that_was_noted_goes_with_its_view_and_no_other() -> None:
    memory = bytearray(b"abcd" * 30_000)
    view = memoryview(memory)
    right = checksum.crc32c(view)
    checksum.note(view, 7)
    assert checksum.crc32c(view) == 7
    assert checksum.crc32c(view[:]) == checksum.crc32c(bytes(memory)) == right
    assert checksum.crc32c(view, seed=0) != 7
    before = len(checksum._noted)
    del view
    assert len(checksum._noted) == before - 1


def test_a_large_segment_that_came_is_sent_on_with_the_sum_that_it_had() -> None:
    data = memoryview(bytearray(b"large" * 20_000))
    sent = b"".join(frames.encode(frames.MESSAGE, (b"head", b"", b"", data)))
    receiver = frames.Receiver()
    at = 0
    while at < len(sent):
        room = receiver.buffer()
        count = min(len(room), len(sent) - at)
        room[:count] = sent[at : at + count]
        at += count
        receiver.received(count)
        frame = receiver.next_frame()
    assert frame is not None
    assert checksum._noted[id(frame.segments[3])][1] == checksum.crc32c(bytes(data))
    assert b"".join(frames.encode(frames.MESSAGE, frame.segments)) == sent
