# SPDX-License-Identifier: Apache-2.0
"""A disk as bytes at offsets: a regular file or a block device.

As `runtime.disk` is for small files, this is for stores that lay out a disk by themselves.
`testing.simdevice` has a twin that loses, tears and flips what was not synced, and crashes between
any two calls.
"""

import asyncio
import fcntl
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from octostack.base.errors import Conflict, Unavailable

T = TypeVar("T")
Data = bytes | bytearray | memoryview

_IOV_MAX = 1024


class Device(Protocol):
    """The system calls; all but `offload` block, and may be made from any thread."""

    size: int  # in bytes

    async def offload(self, work: Callable[[], T]) -> T:
        """Run `work` where blocking harms nobody."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises Unavailable when the disk cannot read them."""

    def write(self, offset: int, parts: Sequence[Data]) -> None:
        """Put the parts one after the other; seen by reads, not yet durable."""

    def sync(self) -> None:
        """Make all that was written durable."""

    def close(self) -> None:
        """Let go of it."""


class FileDevice:
    """A real one. A file is made when it is not there, as large as `size`, without taking space."""

    def __init__(self, path: Path, size: int = 0) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise Conflict(f"{path} is in use.", code="device.in_use") from error
        if stat.S_ISREG(os.fstat(self._fd).st_mode) and os.fstat(self._fd).st_size < size:
            os.ftruncate(self._fd, size)
        self.size = os.lseek(self._fd, 0, os.SEEK_END)

    async def offload(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    def read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._fd, length, offset)
        while len(data) < length:
            more = os.pread(self._fd, length - len(data), offset + len(data))
            if not more:
                raise Unavailable(f"no bytes at {offset + len(data)}", code="device.short")
            data += more
        return data

    def write(self, offset: int, parts: Sequence[Data]) -> None:
        for start in range(0, len(parts), _IOV_MAX):
            some = parts[start : start + _IOV_MAX]
            total = sum(map(len, some))
            done = os.pwritev(self._fd, some, offset)
            if done < total:
                rest = memoryview(b"".join(some))
                while done < total:
                    done += os.pwrite(self._fd, rest[done:], offset + done)
            offset += total

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)
