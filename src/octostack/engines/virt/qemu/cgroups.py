# SPDX-License-Identifier: Apache-2.0
"""Bounds on what a machine's process takes of the host, where control groups may be made.

Either layout is used: the one tree of version 2, or version 1's tree per controller. Without the
right to make groups a machine runs without these bounds; QEMU's own allocation is then the limit.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from octostack.base import log

_log = log.get("virt")

ROOT = Path("/sys/fs/cgroup")
_PARENT = "octostack"
_OVERHEAD_MB = 384  # translation cache, video memory, QEMU itself
_TASKS_MAX = 256
_RELEASE_TRIES = 100
_RELEASE_PAUSE_S = 0.02


class Groups:
    """One group per machine, named after it, below one of ours."""

    def __init__(self, root: Path = ROOT) -> None:
        self._unified = (root / "cgroup.controllers").exists()
        self._tops = [root] if self._unified else [root / "memory", root / "pids"]
        self._missing = False

    def confine(self, machine_id: str, pid: int, memory_mb: int) -> None:
        """Put the process, and all it will start, under the bounds."""
        memory = str((memory_mb + _OVERHEAD_MB) << 20)
        bounds = (
            [{"memory.max": memory, "memory.swap.max": "0", "pids.max": str(_TASKS_MAX)}]
            if self._unified
            else [{"memory.limit_in_bytes": memory}, {"pids.max": str(_TASKS_MAX)}]
        )
        for top, wanted in zip(self._tops, bounds, strict=True):
            try:
                self._put(top, machine_id, pid, wanted)
            except OSError as e:
                if not self._missing:
                    _log.warning("no control group", tree=str(top), reason=e.strerror)
                self._missing = True

    async def release(self, machine_id: str) -> None:
        """Take the group away. Threads leave it one by one, after the process counts as ended."""
        for top in self._tops:
            group = top / _PARENT / machine_id
            for _ in range(_RELEASE_TRIES):
                try:
                    group.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    await asyncio.sleep(_RELEASE_PAUSE_S)

    def _put(self, top: Path, machine_id: str, pid: int, bounds: dict[str, str]) -> None:
        parent = top / _PARENT
        if not os.access(top, os.W_OK):
            raise PermissionError(13, "not permitted")
        group = parent / machine_id
        group.mkdir(parents=True, exist_ok=True)
        if self._unified:
            for tree in (top, parent):
                (tree / "cgroup.subtree_control").write_text("+memory +pids")
        for name, value in bounds.items():
            with suppress(FileNotFoundError):  # no swap accounting
                (group / name).write_text(value)
        (group / "cgroup.procs").write_text(str(pid))
