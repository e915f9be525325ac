# SPDX-License-Identifier: Apache-2.0
"""A machine's memory in a file: suspend and resume by a migration to nowhere.

The file's descriptor is handed over the monitor, as QEMU's sandbox lets it start no helper.
"""

import asyncio
import os
from pathlib import Path

from octostack.base.errors import Unavailable
from octostack.engines.virt.qemu import files
from octostack.engines.virt.qemu.monitor import Monitor

_NAME = "memory.saved"
_PAUSE_S = 0.05
_TIMEOUT_S = 600.0
_BYTES_PER_S = 1 << 40


def is_saved(directory: Path) -> bool:
    """Whether there is memory to go on from."""
    return (directory / _NAME).exists()


def drop(directory: Path) -> None:
    """Delete saved memory."""
    (directory / _NAME).unlink(missing_ok=True)


async def save(monitor: Monitor, directory: Path) -> None:
    """Stop the processors and write memory and devices out, durably."""
    temporary = directory / f".{_NAME}.new"
    await monitor.call("stop")
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        await monitor.call("getfd", {"fdname": "memory"}, fds=(fd,))
        await monitor.call("migrate-set-parameters", {"max-bandwidth": _BYTES_PER_S})
        await monitor.call("migrate", {"uri": "fd:memory"})
        await _until_done(monitor)
        await asyncio.to_thread(os.fsync, fd)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    temporary.replace(directory / _NAME)
    files.sync_directory(directory)


async def restore(monitor: Monitor, directory: Path) -> None:
    """Read memory back into a QEMU started for that. The file stays until it is dropped."""
    fd = os.open(directory / _NAME, os.O_RDONLY)
    try:
        await monitor.call("getfd", {"fdname": "memory"}, fds=(fd,))
        await monitor.call("migrate-incoming", {"uri": "fd:memory"})
        await _until_done(monitor)
    finally:
        os.close(fd)


async def _until_done(monitor: Monitor) -> None:
    async with asyncio.timeout(_TIMEOUT_S):
        while True:
            answer = await monitor.call("query-migrate")
            status = answer.get("status", "none")
            if status == "completed":
                return
            if status in ("failed", "cancelled"):
                why = answer.get("error-desc", status)
                raise Unavailable(f"memory could not be moved: {why}", code="qemu.migrate")
            await asyncio.sleep(_PAUSE_S)
