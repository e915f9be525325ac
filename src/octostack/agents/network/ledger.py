# SPDX-License-Identifier: Apache-2.0
"""What an agent must know when nobody tells it: its last intent and the numbers it gave.

One file, written and synced before anything is carried out: the whole of it once, then what changed
since, each change behind the last; when the changes outgrow the whole it is written anew. A change
that was cut off while it was written never was. With the numbers kept, a restarted agent compiles
the very flows that are in the switch.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from octostack.base.errors import Corrupt
from octostack.contracts.network_agent import Item, Key
from octostack.engines.sdn.core import model
from octostack.engines.sdn.core.model import ALL_NUMBERS, Span

FORMAT: Final = 2
MAGIC: Final = b"octostack ledger 2\n"  # of format 1, the bare entry, there is none
CHANGES_BYTES_MIN: Final = 1 << 16
_FRAME: Final = struct.Struct("!II")  # length and CRC-32 of what follows


class Entry(msgspec.Struct, kw_only=True):
    """The whole content of a ledger."""

    format: int = FORMAT
    host: str
    generation: int = 0
    items: tuple[Item, ...] = ()
    numbers: dict[str, int] = {}
    following: int = 0
    span: Span = ALL_NUMBERS


class Change(msgspec.Struct, kw_only=True, frozen=True):
    """What leads from one content to the next; `given` and `taken` are numbers, by name."""

    generation: int
    put: tuple[Item, ...] = ()
    drop: tuple[Key, ...] = ()
    given: dict[str, int] = {}
    taken: tuple[str, ...] = ()
    following: int = 0


class Ledger:
    """A ledger in a file; `path` None: in memory only, as a simulated host has it."""

    def __init__(self, path: Path | None, host: str) -> None:
        self._path = path
        self._host = host
        self._whole_bytes = 0
        self._end = 0  # behind the last good change

    def read(self) -> Entry:
        """The last content; an empty one at first. Raises Corrupt."""
        if self._path is None:
            return Entry(host=self._host)
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return Entry(host=self._host)
        try:
            return self._read(data)
        except (msgspec.DecodeError, struct.error, StopIteration) as e:
            raise Corrupt(f"ledger {self._path}: {e}", code="ledger.corrupt") from e

    def _read(self, data: bytes) -> Entry:
        if not data.startswith(MAGIC):
            return msgspec.msgpack.decode(data, type=Entry)
        frames = _frames(data)
        self._end, body = next(frames)
        self._whole_bytes = self._end
        entry = msgspec.msgpack.decode(body, type=Entry)
        items = {model.key_of(item): item for item in entry.items}
        for end, body in frames:
            self._end = end
            change = msgspec.msgpack.decode(body, type=Change)
            _carry_out(entry, items, change)
        entry.items = tuple(items.values())
        return entry

    def write(self, entry: Entry) -> None:
        """Replace it; once this returns, the entry survives a crash."""
        if self._path is None:
            return
        draft = self._path.with_suffix(".new")
        data = MAGIC + _frame(msgspec.msgpack.encode(entry))
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self._whole_bytes = self._end = len(data)

    @property
    def takes_changes(self) -> bool:
        """Whether a change may be added; else the whole is to be written."""
        if self._path is None:
            return True
        grown = self._end - self._whole_bytes
        return self._whole_bytes > 0 and grown <= max(self._whole_bytes, CHANGES_BYTES_MIN)

    def add(self, change: Change) -> None:
        """Add a change; once this returns, it survives a crash."""
        if self._path is None:
            return
        data = _frame(msgspec.msgpack.encode(change))
        with self._path.open("r+b") as file:
            file.seek(self._end)
            file.write(data)
            file.truncate()  # of a longer one that was cut off
            file.flush()
            os.fsync(file.fileno())
        self._end += len(data)


def _frame(body: bytes) -> bytes:
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def _frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(where it ends, body) of each; a last one that is not whole is left out. Raises Corrupt."""
    at = len(MAGIC)
    while at + _FRAME.size <= len(data):
        length, check = _FRAME.unpack_from(data, at)
        if not length and not any(data[at:]):
            return  # room that was made, and not written before a crash
        end = at + _FRAME.size + length
        body = data[at + _FRAME.size : end]
        if len(body) < length or zlib.crc32(body) != check:
            if end < len(data):
                raise Corrupt(f"ledger is damaged at byte {at}", code="ledger.corrupt")
            return
        yield end, body
        at = end


def _carry_out(entry: Entry, items: dict[Key, Item], change: Change) -> None:
    for key in change.drop:
        items.pop(key, None)
    items.update((model.key_of(item), item) for item in change.put)
    for name in change.taken:
        entry.numbers.pop(name, None)
    entry.numbers.update(change.given)
    entry.generation, entry.following = change.generation, change.following


def directory(state_dir: Path) -> Path:
    """Where the ledgers of a state directory lie."""
    return state_dir / "agents" / "network"


def open_ledger(state_dir: Path, host: str) -> Ledger:
    """The ledger of a host in a state directory."""
    place = directory(state_dir)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Ledger(place / f"{host}.ledger", host)


def list_entries(state_dir: Path) -> list[Entry]:
    """The entries of every host that ever had an agent in this state directory."""
    found = sorted(directory(state_dir).glob("*.ledger"))
    return [Ledger(path, path.stem).read() for path in found]
