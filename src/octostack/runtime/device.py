# SPDX-License-Identifier: Apache-2.0
"""A disk as bytes at offsets: a regular file or a block device.

Large writes from memory that begins at a page (`runtime.memory`), and large reads into such memory,
go past the page cache, whose fresh pages would cost more than all the rest; all else goes through.
What is read for the second time is brought into the cache, and read from there later.

As `runtime.disk` is for small files, this is for stores that lay out a disk by themselves.
`testing.simdevice` has a twin that loses, tears and flips what was not synced, and crashes between
any two calls.
"""

import asyncio
import contextlib
import errno
import fcntl
import mmap
import os
import queue
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from octostack.base.errors import Conflict, Unavailable

T = TypeVar("T")
Data = bytes | bytearray | memoryview

_IOV_MAX = 1024
_THREADS = 2  # batches, and beside them what takes longer
_ASIDE = 4
_SECTOR = 4096
_TOUCHED_MAX = 4096
_DIRECT_MIN = 64 << 10
_ZEROS = memoryview(mmap.mmap(-1, 1 << 20))


class Device(Protocol):
    """The system calls; all but `offload` block, and may be made from any thread."""

    size: int  # in bytes

    async def offload(self, work: Callable[[], T], *, aside: bool = False) -> T:
        """Run `work` where blocking harms nobody; what is done `aside` has threads of its own."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises Unavailable when the disk cannot read them."""

    def read_into(self, offset: int, room: memoryview) -> None:
        """The same, into memory that is there."""

    def write(self, offset: int, parts: Sequence[Data]) -> None:
        """Put the parts one after the other; seen by reads, not yet durable."""

    def write_durably(self, offset: int, data: Data) -> None:
        """Put `data` and make it durable, and nothing that was written before."""

    def prepare(self, offset: int, length: int) -> None:
        """Fill what was never written there with zeros: later writes are quicker."""

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
        self._is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
        if self._is_file and os.fstat(self._fd).st_size < size:
            os.ftruncate(self._fd, size)
        self.size = os.lseek(self._fd, 0, os.SEEK_END)
        self._direct_fd = _open_direct(path)
        self._touched = _Touched()
        self._batches, self._others = _Threads(_THREADS), _Threads(_ASIDE)

    async def offload(self, work: Callable[[], T], *, aside: bool = False) -> T:
        return await (self._others if aside else self._batches).run(work)

    def read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._fd, length, offset)
        while len(data) < length:
            more = os.pread(self._fd, length - len(data), offset + len(data))
            if not more:
                raise Unavailable(f"no bytes at {offset + len(data)}", code="device.short")
            data += more
        return data

    def read_into(self, offset: int, room: memoryview) -> None:
        done = self._read_large(offset, room) if len(room) >= _DIRECT_MIN else 0
        while done < len(room):
            count = os.preadv(self._fd, [room[done:]], offset + done)
            if not count:
                raise Unavailable(f"no bytes at {offset + done}", code="device.short")
            done += count

    def write(self, offset: int, parts: Sequence[Data]) -> None:
        for start in range(0, len(parts), _IOV_MAX):
            some = parts[start : start + _IOV_MAX]
            total = sum(map(len, some))
            self._write_all(some, offset, total, 0)
            offset += total

    def write_durably(self, offset: int, data: Data) -> None:
        self._write_all([data], offset, len(data), os.RWF_DSYNC)

    def prepare(self, offset: int, length: int) -> None:
        end = offset + length
        while self._is_file and offset < end:
            offset = os.lseek(self._fd, offset, os.SEEK_HOLE)
            stop = min(end, self._data_after(offset))
            while offset < stop:
                some = min(stop - offset, len(_ZEROS))
                self._write_all([_ZEROS[:some]], offset, some, 0)
                offset += some

    def _data_after(self, offset: int) -> int:
        try:
            return os.lseek(self._fd, offset, os.SEEK_DATA)
        except OSError:  # none
            return self.size

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        self._batches.end()
        self._others.end()  # nobody may write to what has this number next
        os.close(self._fd)
        if self._direct_fd is not None:
            os.close(self._direct_fd)

    def _read_large(self, offset: int, room: memoryview) -> int:
        """Bytes read: past the page cache, but for what was read before."""
        if self._direct_fd is None or (offset | len(room)) % _SECTOR:
            return 0
        before = self._touched.note(offset, len(room))
        if before == 1:
            os.posix_fadvise(self._fd, offset, len(room), os.POSIX_FADV_WILLNEED)
            return os.preadv(self._fd, [room], offset)
        try:
            # where nothing is in the cache, even this begins to fill it
            count = os.preadv(self._fd, [room], offset, os.RWF_NOWAIT) if before else 0
            if count == len(room):
                return count
        except OSError:  # not there any more, or not to be known
            pass
        try:
            return os.preadv(self._direct_fd, [room], offset)
        except OSError as error:
            if error.errno != errno.EINVAL:  # memory that does not begin at a sector
                raise
            return 0

    def _write_all(self, parts: Sequence[Data], offset: int, total: int, flags: int) -> None:
        done = 0
        if self._direct_fd is not None and total >= _DIRECT_MIN and not (offset | total) % _SECTOR:
            try:
                done = os.pwritev(self._direct_fd, parts, offset, flags)
            except OSError as error:
                if error.errno != errno.EINVAL:  # memory that does not begin at a sector
                    raise
        if not done:
            done = os.pwritev(self._fd, parts, offset, flags)
        if done < total:
            rest = memoryview(b"".join(parts))
            while done < total:
                done += os.pwritev(self._fd, [rest[done:]], offset + done, flags)


class _Touched:
    """How often large pieces of late were read; may be asked by several threads at once."""

    def __init__(self) -> None:
        self._times: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, offset: int, length: int) -> int:
        """It is read; how often it was before."""
        with self._lock:
            before = self._times.pop((offset, length), 0)
            self._times[offset, length] = before + 1
            if len(self._times) > _TOUCHED_MAX:
                self._times.popitem(last=False)
        return before


_Job = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


def _open_direct(path: Path) -> int | None:
    """A second way in, past the page cache, where there is one."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_DIRECT)
    except OSError:
        return None


class _Threads:
    """A few, begun when they are needed, and their jobs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._work: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()

    async def run(self, work: Callable[[], T]) -> T:
        self._busy += 1
        if len(self._threads) < min(self._busy, self._most):
            thread = threading.Thread(target=_run_jobs, args=(self._work,), daemon=True)
            self._threads.append(thread)
            thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._work.put((work, done, loop))
        try:
            return await done
        finally:
            self._busy -= 1

    def end(self) -> None:
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()


def _run_jobs(work: "queue.SimpleQueue[_Job | None]") -> None:
    """A thread's life: jobs until None. Results go back to the loop that asked."""
    while (job := work.get()) is not None:
        call, done, loop = job
        try:
            result, failure = call(), None
        except BaseException as error:  # told where it was asked for
            result, failure = None, error
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(_settle, done, result, failure)
        del job, call, done, result, failure


def _settle(done: "asyncio.Future[Any]", result: object, failure: BaseException | None) -> None:
    if done.cancelled():
        return
    if failure is not None:
        done.set_exception(failure)
    else:
        done.set_result(result)
