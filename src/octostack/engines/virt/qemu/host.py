# SPDX-License-Identifier: Apache-2.0
"""All machines of one directory at once, with no agent: to bring a host down, or to check it."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from octostack.base import clock
from octostack.base.errors import OctoError
from octostack.engines.virt.core.cmdline import QMP_SOCKET
from octostack.engines.virt.qemu import files, process
from octostack.engines.virt.qemu.cgroups import Groups
from octostack.engines.virt.qemu.layout import Layout
from octostack.engines.virt.qemu.monitor import connect_unix
from octostack.engines.virt.qemu.process import Process
from octostack.wire import qmp

STOP_TIMEOUT_S = 15.0
_TERM_TIMEOUT_S = 5.0
_ASK_TIMEOUT_S = 3.0
_BUTTON_PAUSE_S = 5.0
_PAUSE_S = 0.05


def may_drop_privileges() -> bool:
    """Whether QEMU can be given a user of its own."""
    return os.geteuid() == 0


async def stop_all(layout: Layout, timeout_s: float = STOP_TIMEOUT_S) -> list[str]:
    """End every QEMU below the directory; their ids. The guests have `timeout_s` to go by
    themselves. They are written down as gone with the host: an agent that starts boots them again.
    """
    running = process.list_in(layout.machines)
    for directory in running:
        record = files.read_record(directory)
        files.write_record(directory, msgspec.structs.replace(record, down="host"))
    await _let_go(running, timeout_s)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for proc in running.values():
            if proc.alive:
                with suppress(ProcessLookupError):
                    os.kill(proc.pid, sign)
        await _until_gone(running, _TERM_TIMEOUT_S)
    groups = Groups()
    for directory in running:
        await groups.release(directory.name)
    return sorted(directory.name for directory in running)


async def _let_go(running: dict[Path, Process], timeout_s: float) -> None:
    """Press every guest's power button, now and then again, until all are off."""
    deadline = clock.monotonic() + timeout_s
    pressed_at = 0.0
    while (now := clock.monotonic()) < deadline:
        alive = [d for d, p in running.items() if p.alive and not await _guest_is_off(d)]
        if not alive:
            return
        if now - pressed_at >= _BUTTON_PAUSE_S:
            pressed_at = now
            for directory in alive:
                await _ask(directory, "system_powerdown")
        await asyncio.sleep(_PAUSE_S * 10)


async def _until_gone(running: dict[Path, Process], timeout_s: float) -> None:
    deadline = clock.monotonic() + timeout_s
    while clock.monotonic() < deadline:
        process.bury()
        if not any(proc.alive for proc in running.values()):
            return
        await asyncio.sleep(_PAUSE_S)


async def _guest_is_off(directory: Path) -> bool:
    """QEMU stays until it is told to go; ask it whether its guest has gone."""
    status = await _ask(directory, "query-status")
    return status is None or status["status"] in ("shutdown", "guest-panicked")


async def _ask(directory: Path, command: str) -> Any:
    """One command's answer, waited for: QEMU drops what is queued when the caller hangs up.

    None when there is none.
    """
    loop = asyncio.get_running_loop()
    codec = qmp.Codec()
    with suppress(OctoError, OSError, TimeoutError):
        sock = connect_unix(directory / QMP_SOCKET)
        with sock:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                await loop.sock_sendall(sock, qmp.encode("qmp_capabilities", None, 0))
                await loop.sock_sendall(sock, qmp.encode(command, None, 1))
                while data := await loop.sock_recv(sock, 4096):
                    for message in codec.feed(data):
                        if isinstance(message, qmp.Return) and message.id == 1:
                            return message.value
    return None
