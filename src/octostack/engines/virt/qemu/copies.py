# SPDX-License-Identifier: Apache-2.0
"""Copies of root disks, standalone qcow2, for images made of servers.

A running machine copies its disk itself, as it was at the start of the copy, and runs on. A
stopped one's is converted by qemu-img under the machine's own user.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from octostack.base.errors import OctoError, Unavailable
from octostack.engines.virt.qemu import convert, files
from octostack.engines.virt.qemu.disks import inspect_file
from octostack.engines.virt.qemu.layout import Layout
from octostack.engines.virt.qemu.monitor import Monitor
from octostack.wire.diskformats import overlay

_PAUSE_S = 0.1


class Copies:
    """Makes and deletes copies; one is at first in its machine's directory."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    async def make(
        self, monitor: Monitor | None, source: Path, name: str, user: int | None
    ) -> Path:
        """The finished copy. Raises Unavailable, Corrupt."""
        target = source.with_name(f"copy-{name}.qcow2")
        done = self._layout.copy(name)
        try:
            size = inspect_file(source).virtual_size_bytes
            files.write_whole(target, overlay.make(size), user)
            if monitor is None:
                args = ("convert", "-n", "-f", "qcow2", "-O", "qcow2", source.name, target.name)
                await convert.qemu_img(*args, user=user, cwd=source.parent)
            else:
                await _back_up(monitor, target.name)
            os.chown(target, os.geteuid(), os.getegid())
            target.replace(done)
        finally:
            target.unlink(missing_ok=True)
        return done

    def drop(self, name: str) -> None:
        """Delete a finished copy."""
        self._layout.copy(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete what an earlier agent left half-way."""
        for path in (
            *self._layout.copies.iterdir(),
            *self._layout.machines.glob("*/copy-*.qcow2"),
        ):
            path.unlink(missing_ok=True)


async def _back_up(monitor: Monitor, file: str) -> None:
    await monitor.call(
        "blockdev-add",
        {
            "driver": "qcow2",
            "node-name": "copy",
            "file": {"driver": "file", "filename": file},
        },
    )
    try:
        await monitor.call(
            "blockdev-backup",
            {
                "job-id": "copy",
                "device": "root",
                "target": "copy",
                "sync": "full",
                "auto-dismiss": False,
            },
        )
        try:
            await _until_concluded(monitor)
        finally:
            await _dismiss(monitor)
    finally:
        await monitor.call("blockdev-del", {"node-name": "copy"})


async def _until_concluded(monitor: Monitor) -> None:
    while True:
        jobs = {job["id"]: job for job in await monitor.call("query-jobs")}
        job = jobs.get("copy")
        if job is None:
            raise Unavailable("the copy of the disk is gone", code="qemu.copy")
        if job["status"] == "concluded":
            if "error" in job:
                raise Unavailable(f"disk copy: {job['error']}", code="qemu.copy")
            return
        await asyncio.sleep(_PAUSE_S)


async def _dismiss(monitor: Monitor) -> None:
    try:
        await monitor.call("job-dismiss", {"id": "copy"})
        return
    except OctoError:
        await monitor.call("job-cancel", {"id": "copy"})
    with suppress(Unavailable):  # cancelled, as was asked
        await _until_concluded(monitor)
    await monitor.call("job-dismiss", {"id": "copy"})
