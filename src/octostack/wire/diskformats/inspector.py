# SPDX-License-Identifier: Apache-2.0
"""One pass over a stream, keeping the parts of it that the format's parser asks for.

A parser reads through a `Window` as if it had the whole file. Asked for bytes that are still to
come, the window raises `Need`; the inspector notes them, goes on feeding, and calls the parser
again once they are there. Parsers are pure functions and cheap: to run one thrice is nothing.
"""

from collections.abc import Callable

from octostack.wire.diskformats import headers, qcow2, vhdx, vmdk
from octostack.wire.diskformats.facts import Facts
from octostack.wire.diskformats.window import Flaw, Need, Window

_Parser = Callable[[Window], Facts]

# Signatures at fixed places, the more specific first: (name, offset, bytes, parser).
_SIGNATURES: tuple[tuple[str, int, bytes, _Parser], ...] = (
    ("qcow2", 0, b"QFI\xfb", qcow2.parse),
    ("qed", 0, b"QED\0", headers.parse_qed),
    ("vmdk", 0, b"KDMV", vmdk.parse),
    ("vmdk", 0, b"COWD", vmdk.parse),
    ("vmdk", 0, b"# Disk DescriptorFile", vmdk.parse),
    ("vhdx", 0, b"vhdxfile", vhdx.parse),
    ("vhd", 0, b"conectix", headers.parse_vhd),
    ("vdi", 0x40, b"\x7f\x10\xda\xbe", headers.parse_vdi),
    ("luks", 0, b"LUKS\xba\xbe", headers.parse_luks),
    ("iso", 32768, b"\x01CD001", headers.parse_iso),
)
_HEAD_BYTES = 40 << 10  # all fixed places lie within
_TAIL_BYTES = 512
_STEP_BYTES = 16 << 10
_KEPT_BYTES_MAX = 4 << 20  # what a parser may ask to be kept, in all


class Inspector:
    """Fed with the image's bytes in order; `finish` tells what they were."""

    def __init__(self) -> None:
        self._window = Window()
        self._window.want(0, _HEAD_BYTES)
        self._tail = b""
        self._size = 0
        self._facts: Facts | None = None
        self._matches: list[tuple[str, _Parser]] | None = None

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the stream, of any length."""
        self._tail = (self._tail + chunk[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        view = memoryview(chunk)
        at = 0
        # Small steps, so that what a parser asks for next has not gone by yet.
        while self._facts is None and at < len(chunk):
            self._window.feed(bytes(view[at : at + _STEP_BYTES]))
            at += _STEP_BYTES
            if self._window.satisfied:
                self._advance()
        self._size += len(chunk)

    def finish(self) -> Facts:
        """What the whole stream is; never raises for its content."""
        self._window.end()
        if self._facts is None:
            self._advance()
        facts = self._facts or Facts(format="raw", virtual_size_bytes=0)
        return headers.complete(facts, self._size, self._tail)

    def _advance(self) -> None:
        if self._matches is None:
            self._matches = _matches(self._window)
        name, parser = self._matches[0] if self._matches else ("raw", headers.parse_plain)
        try:
            facts = parser(self._window)
            also = {other for other, _ in self._matches} - {name}
            self._facts = headers.with_also(facts, tuple(sorted(also)))
        except Need as need:
            if self._window.kept_bytes + need.length > _KEPT_BYTES_MAX:
                self._facts = Facts(
                    format=name, virtual_size_bytes=0, flaw=f"{name} header is too large"
                )
                return
            self._window.want(need.offset, need.length)
        except Flaw as flaw:
            self._facts = Facts(format=name, virtual_size_bytes=0, flaw=f"{name}: {flaw}")


def inspect(read: Callable[[int, int], bytes], size_bytes: int) -> Facts:
    """The facts of a file of `size_bytes`, by `read(offset, length)`."""
    window = Window(read=read, size_bytes=size_bytes)
    matches = _matches(window)
    name, parser = matches[0] if matches else ("raw", headers.parse_plain)
    try:
        facts = headers.with_also(parser(window), tuple(sorted({m for m, _ in matches} - {name})))
    except Flaw as flaw:
        facts = Facts(format=name, virtual_size_bytes=0, flaw=f"{name}: {flaw}")
    tail = read(max(0, size_bytes - _TAIL_BYTES), min(size_bytes, _TAIL_BYTES))
    return headers.complete(facts, size_bytes, tail)


def _matches(window: Window) -> list[tuple[str, _Parser]]:
    found: dict[str, _Parser] = {}
    for name, offset, signature, parser in _SIGNATURES:
        if window.peek(offset, len(signature)) == signature:
            found.setdefault(name, parser)
    return list(found.items())
