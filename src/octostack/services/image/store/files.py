# SPDX-License-Identifier: Apache-2.0
"""Images as files in one directory.

``incoming/KEY`` is being written, ``data/KEY`` is whole; a rename within the file system takes a
file from one to the other, after its bytes were synced. Whoever writes holds a lock of the kernel
on the file (flock), which a crash of the process gives up with everything else of it: so a file
that can be locked has no writer.
"""

import asyncio
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from octostack.base import clock
from octostack.base.errors import Conflict, NotFound, TooLarge, Unavailable
from octostack.services.image.model import STORE
from octostack.services.image.store.blobs import Blobs, Writer

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FileBlobs(Blobs):
    """Files under `root`, which is made when it is not there."""

    name = STORE
    kind = "file"

    def __init__(self, root: Path) -> None:
        self.root = root
        self._data = root / "data"
        self._incoming = root / "incoming"
        for folder in (self._data, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)

    async def create(self, key: str) -> Writer:
        path = self._incoming / key
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return _FileWriter(fd, path, self._data / key)

    async def read(self, key: str, offset: int, length: int) -> bytes:
        return await asyncio.to_thread(self._read, key, offset, length)

    async def append(self, key: str, offset: int, chunk: bytes) -> int:
        return await asyncio.to_thread(self._append, key, offset, chunk)

    async def adopt(self, key: str) -> Writer:
        path = self._incoming / key
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"No bytes came in under {key}", code="image.no_data") from None
        fcntl.flock(fd, fcntl.LOCK_EX)
        return _FileWriter(fd, path, self._data / key)

    async def delete(self, key: str) -> None:
        for folder in (self._incoming, self._data):
            with suppress(FileNotFoundError):
                (folder / key).unlink()

    async def list_unheld(self, older_than_s: float) -> list[str]:
        return await asyncio.to_thread(lambda: list(self._unheld(clock.now() - older_than_s)))

    def is_held(self, key: str) -> bool:
        return any(
            (folder / key).exists() and _held(folder / key)
            for folder in (self._incoming, self._data)
        )

    def path(self, key: str) -> Path | None:
        return self._data / key

    def _read(self, key: str, offset: int, length: int) -> bytes:
        try:
            fd = os.open(self._data / key, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound("The image's data is gone", code="image.no_data") from None
        try:
            return os.pread(fd, length, offset)
        finally:
            os.close(fd)

    def _append(self, key: str, offset: int, chunk: bytes) -> int:
        fd = os.open(self._incoming / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(fd).st_size
            if offset + len(chunk) <= size and os.pread(fd, len(chunk), offset) == chunk:
                return size
            if offset != size:
                raise Conflict(
                    f"{size} bytes are there, the chunk begins at {offset}",
                    code="image.offset",
                    size=size,
                )
            os.lseek(fd, size, os.SEEK_SET)
            _write_all(fd, chunk)
            return size + len(chunk)
        finally:
            os.close(fd)

    def _unheld(self, before: float) -> Iterator[str]:
        for folder in (self._incoming, self._data):
            for entry in os.scandir(folder):
                if entry.stat().st_mtime <= before and not _held(Path(entry.path)):
                    yield entry.name


class _FileWriter(Writer):
    def __init__(self, fd: int, incoming: Path, final: Path) -> None:
        self._fd = fd
        self._incoming = incoming
        self._final = final

    def write(self, chunk: bytes) -> None:
        _write_all(self._fd, chunk)

    async def finish(self) -> None:
        await asyncio.to_thread(self._make_durable)

    async def abandon(self) -> None:
        for path in (self._incoming, self._final):
            with suppress(FileNotFoundError):
                path.unlink()
        await self.release()

    async def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _make_durable(self) -> None:
        os.fdatasync(self._fd)
        self._incoming.rename(self._final)
        folder = os.open(self._final.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write_all(fd: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as e:
        if e.errno in _NO_ROOM:
            raise TooLarge(
                f"Image storage media is full: {e.strerror}", code="image.no_room"
            ) from e
        raise Unavailable(f"Image storage failed: {e.strerror}", code="image.storage") from e


def _held(path: Path) -> bool:
    """Does some process write this file?"""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True  # just renamed or gone: not ours to judge
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
