# SPDX-License-Identifier: Apache-2.0
"""Root disks on their way into images: copied on the host, then sent to the Image service."""

import asyncio
import hashlib
from pathlib import Path

from octostack.base import log
from octostack.base.errors import OctoError
from octostack.contracts.compute_agent import MachineSpec, SnapshotProgress
from octostack.contracts.image import READ_BYTES_MAX, Images
from octostack.engines.virt.hypervisor import Hypervisor
from octostack.runtime.tasks import Supervisor

_log = log.get("compute_agent")

_KEPT = 256  # outcomes remembered for who asks again


class Snapshots:
    """One task per image that is being filled."""

    def __init__(self, hypervisor: Hypervisor, images: Images, tasks: Supervisor) -> None:
        self._hypervisor = hypervisor
        self._images = images
        self._tasks = tasks
        self._running: dict[str, asyncio.Task[None]] = {}
        self._progress: dict[str, SnapshotProgress] = {}

    def ensure(self, spec: MachineSpec, image_id: str, lock: asyncio.Lock) -> SnapshotProgress:
        """Start the copy unless it runs or is over; how far it is."""
        if image_id not in self._progress:
            self._note(SnapshotProgress(image_id=image_id, status="working"))
            work = self._run(spec, image_id, lock)
            self._running[image_id] = self._tasks.spawn(f"snapshot {image_id}", work)
        return self._progress[image_id]

    async def drop(self, image_id: str) -> None:
        """Stop it, and forget it with what it left."""
        task = self._running.pop(image_id, None)
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})
        self._progress.pop(image_id, None)
        await self._hypervisor.drop_copy(image_id)

    async def _run(self, spec: MachineSpec, image_id: str, lock: asyncio.Lock) -> None:
        try:
            async with lock:  # nothing else happens to the disk meanwhile
                path = await self._hypervisor.copy_root(spec, image_id)
            size = await self._send(Path(path), image_id)
            self._note(SnapshotProgress(image_id=image_id, status="done", size_bytes=size))
        except (OctoError, OSError) as e:
            fault = e.message if isinstance(e, OctoError) else str(e)
            _log.error("snapshot failed", image=image_id, machine=spec.id, reason=fault)
            self._note(SnapshotProgress(image_id=image_id, status="failed", fault=fault))
        finally:
            self._running.pop(image_id, None)
            await self._hypervisor.drop_copy(image_id)

    async def _send(self, path: Path, image_id: str) -> int:
        digest = hashlib.sha512()
        size = 0
        with path.open("rb") as f:
            while data := await asyncio.to_thread(f.read, READ_BYTES_MAX):
                digest.update(data)
                await self._images.write(image_id, size, data)
                size += len(data)
        await self._images.commit(image_id, size, digest.hexdigest())
        return size

    def _note(self, progress: SnapshotProgress) -> None:
        self._progress.pop(progress.image_id, None)
        self._progress[progress.image_id] = progress
        while len(self._progress) > _KEPT:
            self._progress.pop(next(iter(self._progress)))
