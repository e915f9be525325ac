# SPDX-License-Identifier: Apache-2.0
"""A disk that keeps its promises and no more: the twin of `runtime.disk.OsFiles`.

Until a file is synced, a crash leaves any beginning of what was added, its last part perhaps torn
or zeros; until its directory is synced, a new name, a rename or a removal may be undone, in the
reverse order of how they were done. `crash_at` kills in the middle of the n-th call.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class Crash(BaseException):
    """The machine is off; nothing may catch this but the simulation."""


class _Inode:
    """A file's bytes: the first `kept` of them were synced, or all of `lost`, of which some were
    cut off since."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.kept = 0
        self.lost: bytes | None = None

    @property
    def synced(self) -> bytes:
        return bytes(self.data[: self.kept]) if self.lost is None else self.lost

    def sync(self) -> None:
        self.kept, self.lost = len(self.data), None

    def cut(self, size: int) -> None:
        if size < self.kept and self.lost is None:
            self.lost = self.synced
        del self.data[size:]


class SimFiles:
    """Files in memory, as `runtime.disk.Files`; `crash` is the loss of power."""

    def __init__(self, rng: random.Random, crash_at: int | None = None) -> None:
        self._rng = rng
        self._crash_at = crash_at
        self._names: dict[Path, _Inode] = {}
        self._undo: list[tuple[Path, dict[Path, _Inode | None]]] = []  # of names not yet synced
        self.calls = 0

    async def offload(self, work: Callable[[], T]) -> T:
        return work()

    def crash(self) -> None:
        """Lose what was not synced; the files are then as found after the next start."""
        survivors = self._rng.randint(0, len(self._undo))
        for _, before in reversed(self._undo[survivors:]):
            self._restore(before)
        self._undo = []
        for inode in dict.fromkeys(self._names.values()):
            inode.data = bytearray(self._after_crash(inode))
            inode.sync()
        self._crash_at = None

    def read(self, path: Path) -> bytes:
        return bytes(self._inode(path).data)

    def create(self, path: Path, data: bytes, mode: int) -> None:
        self._call()
        if path in self._names:
            raise FileExistsError(path)
        self._note(path.parent, path)
        self._names[path] = _Inode(data)

    def append(self, path: Path, data: bytes) -> None:
        torn = self._call_torn()
        if path not in self._names:
            self._note(path.parent, path)
            self._names[path] = _Inode()
        inode = self._inode(path)
        if torn:
            inode.data += data[: self._rng.randint(0, len(data))]
            raise Crash
        inode.data += data

    def truncate(self, path: Path, size: int) -> None:
        self._call()
        self._inode(path).cut(size)

    def sync(self, path: Path) -> None:
        self._call()
        self._inode(path).sync()

    def sync_directory(self, path: Path) -> None:
        self._call()
        self._undo = [(directory, before) for directory, before in self._undo if directory != path]

    def rename(self, source: Path, target: Path) -> None:
        self._call()
        inode = self._inode(source)
        self._note(target.parent, source, target)
        self._names[target] = inode
        del self._names[source]

    def remove(self, path: Path) -> None:
        self._call()
        self._inode(path)
        self._note(path.parent, path)
        del self._names[path]

    def names(self, directory: Path) -> list[str]:
        return sorted(path.name for path in self._names if path.parent == directory)

    def make_directory(self, path: Path) -> None:
        """Directories are always there, durably."""

    def _inode(self, path: Path) -> _Inode:
        if path not in self._names:
            raise FileNotFoundError(path)
        return self._names[path]

    def _note(self, directory: Path, *paths: Path) -> None:
        self._undo.append((directory, {path: self._names.get(path) for path in paths}))

    def _restore(self, before: dict[Path, _Inode | None]) -> None:
        for path, inode in before.items():
            if inode is None:
                self._names.pop(path, None)
            else:
                self._names[path] = inode

    def _call(self) -> None:
        if self._call_torn():
            raise Crash

    def _call_torn(self) -> bool:
        self.calls += 1
        return self._crash_at is not None and self.calls > self._crash_at

    def _after_crash(self, inode: _Inode) -> bytes:
        data, synced = bytes(inode.data), inode.synced
        if not data.startswith(synced):  # cut off, and that not yet durable
            return self._rng.choice((data, synced))
        added = data[len(synced) :]
        kept = added[: self._rng.randint(0, len(added))]
        match self._rng.randrange(3):
            case 0:  # the size grew and the bytes never came
                kept += bytes(len(added) - len(kept))
            case 1 if kept:  # the last sector is half old, half new
                kept = kept[: len(kept) // 2] + self._rng.randbytes(len(kept) - len(kept) // 2)
        return synced + kept
