# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all, and what is remembered of a machine beside them."""

import os
import stat
from pathlib import Path
from typing import TypeVar

import msgspec

from octostack.base.errors import Corrupt
from octostack.engines.virt.core.model import Down, NicSeen

T = TypeVar("T")

RECORD = "record.json"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """How a machine's process was last started or ended.

    `down` None: it was started, and nobody has seen it end. `epoch` is the host's life it was
    started in.
    """

    down: Down | None = "new"
    epoch: str = ""
    started_at: float | None = None
    rescued: bool = False
    nics: tuple[NicSeen, ...] = ()


def write_whole(path: Path, data: bytes, owner: int | None = None, mode: int = 0o600) -> None:
    """Write `path` so that a crash leaves the old content or the new, on the disk."""
    temporary = path.with_name(f".{path.name}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        if owner is not None:
            os.fchown(fd, owner, owner)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.replace(path)
    sync_directory(path.parent)


def read_tail(path: Path, bytes_max: int) -> bytes:
    """The end of a file that a machine writes; nothing, if it has put a link or a device there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as f:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            return b""
        f.seek(max(0, facts.st_size - bytes_max))
        return f.read(bytes_max)


def replace_content(path: Path, data: bytes) -> None:
    """Put `data` into the file as it is; who appends to it goes on behind."""
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "wb") as f:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.ftruncate(fd, 0)
            f.write(data)


def sync_directory(path: Path) -> None:
    """Make renames and deletions in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_record(directory: Path) -> Record:
    """What is remembered of the machine in `directory`; nothing gives the default."""
    return read_struct(directory / RECORD, Record) or Record()


def write_record(directory: Path, record: Record) -> None:
    """Remember, durably."""
    write_whole(directory / RECORD, msgspec.json.encode(record))


def read_struct(path: Path, kind: type[T]) -> T | None:
    """A struct from a JSON file; None where there is no file. Raises Corrupt."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as e:
        raise Corrupt(f"{path.name}: {e}", code="file.corrupt") from e


def host_epoch() -> str:
    """Names this life of the host: another after a reboot, also of a container."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    fields = Path("/proc/1/stat").read_text()
    return f"{boot}/{fields[fields.rindex(')') + 2 :].split()[19]}"
