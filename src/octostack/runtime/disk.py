# SPDX-License-Identifier: Apache-2.0
"""Small durable files: replaced as a whole, or logs that only grow.

`Disk` holds what it takes to survive a crash, over `Files`, the few system calls it needs. The
real ones run in a thread, as an fsync takes milliseconds; `testing.simdisk` has a twin that forgets
what was not synced, tears the last write and crashes between any two calls.

* `Disk.write`: a new file beside the old one, fsync, rename, fsync of the directory. A reader, and
  a restart after a crash at any moment, sees the old contents or the new, never a mixture.
* `Log`: each record has its length and a checksum. `append` returns once the record is durable;
  appends that come while a sync runs share the next one. A record torn by a crash was never
  acknowledged: opening the log cuts it off. A damaged record with good ones behind it is no torn
  write but a failing disk: Corrupt.
"""

import asyncio
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from octostack.base import ids
from octostack.base.errors import Corrupt, NotFound

T = TypeVar("T")

_HEAD = struct.Struct(">II")  # length of the record, crc32 of length and record
RECORD_BYTES_MAX = 64 << 20


class Files(Protocol):
    """The system calls; all but `offload` block."""

    async def offload(self, work: Callable[[], T]) -> T:
        """Run `work` where blocking harms nobody."""

    def read(self, path: Path) -> bytes:
        """All bytes. Raises FileNotFoundError."""

    def create(self, path: Path, data: bytes, mode: int) -> None:
        """A new file with `data`, not yet durable."""

    def append(self, path: Path, data: bytes) -> None:
        """Add to the end, not yet durable."""

    def truncate(self, path: Path, size: int) -> None:
        """Cut the end off, not yet durable."""

    def sync(self, path: Path) -> None:
        """Make the file's bytes durable."""

    def sync_directory(self, path: Path) -> None:
        """Make names in the directory durable."""

    def rename(self, source: Path, target: Path) -> None:
        """Put `source` in the place of `target`, not yet durable."""

    def remove(self, path: Path) -> None:
        """Take the name away, not yet durable. Raises FileNotFoundError."""

    def names(self, directory: Path) -> list[str]:
        """The names in a directory; empty when there is none."""

    def make_directory(self, path: Path) -> None:
        """With its parents, mode 0700; no error when it is there."""


class OsFiles:
    """The real system calls."""

    async def offload(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def create(self, path: Path, data: bytes, mode: int) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(data)

    def append(self, path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data)

    def truncate(self, path: Path, size: int) -> None:
        os.truncate(path, size)

    def sync(self, path: Path) -> None:
        _fsync(path, os.O_RDONLY)

    def sync_directory(self, path: Path) -> None:
        _fsync(path, os.O_RDONLY | os.O_DIRECTORY)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def remove(self, path: Path) -> None:
        path.unlink()

    def names(self, directory: Path) -> list[str]:
        try:
            return sorted(entry.name for entry in directory.iterdir())
        except FileNotFoundError:
            return []

    def make_directory(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _fsync(path: Path, flags: int) -> None:
    fd = os.open(path, flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


_DRAFT = ".draft-"


class Disk:
    """Durable files over `files`; see the module's essay."""

    def __init__(self, files: Files | None = None) -> None:
        self.files: Files = files or OsFiles()

    async def read(self, path: Path) -> bytes:
        """The contents. Raises NotFound."""
        try:
            return await self.files.offload(lambda: self.files.read(path))
        except FileNotFoundError as error:
            raise NotFound(f"{path.name} is not there.", code="disk.no_file") from error

    async def write(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        """Replace the file as a whole; durable on return."""
        await self.files.offload(lambda: self._replace(path, data, mode))

    async def remove(self, path: Path) -> None:
        """Take the file away, durably; no error when it is not there."""
        await self.files.offload(lambda: self._remove(path))

    async def names(self, directory: Path) -> list[str]:
        """The names of its files, sorted; drafts of a crash are no files."""
        names = await self.files.offload(lambda: self.files.names(directory))
        return [name for name in names if _DRAFT not in name]

    async def open_log(self, path: Path) -> "Log":
        """The log with what was acknowledged, a torn end cut off. Raises Corrupt."""
        records = await self.files.offload(lambda: self._recover(path))
        return Log(self, path, records)

    def _replace(self, path: Path, data: bytes, mode: int) -> None:
        files = self.files
        files.make_directory(path.parent)
        draft = path.with_name(f"{path.name}{_DRAFT}{ids.new_hex()}")
        files.create(draft, data, mode)
        files.sync(draft)
        files.rename(draft, path)
        files.sync_directory(path.parent)

    def _remove(self, path: Path) -> None:
        try:
            self.files.remove(path)
        except FileNotFoundError:
            return
        self.files.sync_directory(path.parent)

    def _recover(self, path: Path) -> list[bytes]:
        files = self.files
        for name in files.names(path.parent):
            if name.startswith(path.name + _DRAFT):
                files.remove(path.with_name(name))
        try:
            data = files.read(path)
        except FileNotFoundError:
            self._replace(path, b"", 0o600)
            return []
        records, good = unpack_log(data)
        if good < len(data):
            files.truncate(path, good)
            files.sync(path)
        return records


class Log:
    """A file of records; made by `Disk.open_log`. One writer at a time."""

    def __init__(self, disk: Disk, path: Path, records: list[bytes]) -> None:
        self.records = records  # as found at opening
        self._disk = disk
        self._path = path
        self._pending: list[bytes] = []
        self._lock = asyncio.Lock()
        self._broken = False

    async def append(self, record: bytes) -> None:
        """Add `record`; durable on return. Raises Corrupt after a write that failed."""
        batch = self._pending
        batch.append(pack_record(record))
        async with self._lock:
            if batch is not self._pending:
                self._refuse_if_broken()
                return  # who held the lock before has written this one too
            self._refuse_if_broken()
            self._pending = []
            # To its end even if this caller leaves: others' records are in the batch.
            await asyncio.shield(self._write(b"".join(batch)))

    async def rewrite(self, records: list[bytes]) -> None:
        """Replace all records at once, as a compaction does."""
        async with self._lock:
            await self._disk.write(self._path, b"".join(map(pack_record, records)))
            self._broken = False

    async def _write(self, data: bytes) -> None:
        files = self._disk.files

        def work() -> None:
            files.append(self._path, data)
            files.sync(self._path)

        # What a failed sync left on the disk is unknown: nothing may be added behind it.
        self._broken = True
        await files.offload(work)
        self._broken = False

    def _refuse_if_broken(self) -> None:
        if self._broken:
            what = f"{self._path.name}: an earlier write failed; open the log again."
            raise Corrupt(what, code="disk.log_broken")


def pack_record(record: bytes) -> bytes:
    """A record as it stands in a log."""
    assert len(record) <= RECORD_BYTES_MAX
    length = len(record).to_bytes(4, "big")
    return _HEAD.pack(len(record), zlib.crc32(record, zlib.crc32(length))) + record


def unpack_log(data: bytes) -> tuple[list[bytes], int]:
    """The records and how many bytes are good. Raises Corrupt for damage before the end."""
    records: list[bytes] = []
    at = 0
    while (found := _record_at(data, at)) is not None:
        records.append(found)
        at += _HEAD.size + len(found)
    if _record_behind(data, at):
        raise Corrupt(f"A record is damaged at byte {at}.", code="disk.log_damaged")
    return records, at


def _record_at(data: bytes, at: int) -> bytes | None:
    if at + _HEAD.size > len(data):
        return None
    length, checksum = _HEAD.unpack_from(data, at)
    record = data[at + _HEAD.size : at + _HEAD.size + length]
    if len(record) < length:
        return None
    right = zlib.crc32(record, zlib.crc32(data[at : at + 4]))
    return record if right == checksum else None


def _record_behind(data: bytes, at: int) -> bool:
    """Whether a good record follows the bad one at `at`, by the length that one claims."""
    if at + _HEAD.size > len(data):
        return False
    behind = at + _HEAD.size + _HEAD.unpack_from(data, at)[0]
    return bool(_record_at(data, behind))
