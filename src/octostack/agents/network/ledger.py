# SPDX-License-Identifier: Apache-2.0
"""What an agent must know when nobody tells it: its last intent and the numbers it gave.

One file, replaced whole and synced before anything is carried out. With the numbers kept, a
restarted agent compiles the very flows that are in the switch.
"""

import os
from pathlib import Path

import msgspec

from octostack.base.errors import Corrupt
from octostack.contracts.network_agent import Item
from octostack.engines.sdn.core.model import ALL_NUMBERS, Span

FORMAT = 1


class Entry(msgspec.Struct, kw_only=True):
    """The content of a ledger."""

    format: int = FORMAT
    host: str
    generation: int = 0
    items: tuple[Item, ...] = ()
    numbers: dict[str, int] = {}
    following: int = 0
    span: Span = ALL_NUMBERS


class Ledger:
    """A ledger in a file; `path` None: in memory only, as a simulated host has it."""

    def __init__(self, path: Path | None, host: str) -> None:
        self._path = path
        self._host = host

    def read(self) -> Entry:
        """The last entry; an empty one at first. Raises Corrupt."""
        if self._path is None:
            return Entry(host=self._host)
        try:
            return msgspec.msgpack.decode(self._path.read_bytes(), type=Entry)
        except FileNotFoundError:
            return Entry(host=self._host)
        except msgspec.DecodeError as e:
            raise Corrupt(f"ledger {self._path}: {e}", code="ledger.corrupt") from e

    def write(self, entry: Entry) -> None:
        """Replace it; once this returns, the entry survives a crash."""
        if self._path is None:
            return
        draft = self._path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(msgspec.msgpack.encode(entry))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


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
