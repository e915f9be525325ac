# SPDX-License-Identifier: Apache-2.0
"""The host's image cache: each image once, whole, checked, and shared by all machines.

An image is named by the digest of its bytes, so a name that exists needs no second look. What
is not raw or qcow2 is turned into qcow2 on arrival. Machines hold overlays over these files and
may read them only. When the cache grows over its bound, images no disk lies over go first,
those longest unused before the others.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from octostack.base import log
from octostack.base.errors import Corrupt, Invalid
from octostack.contracts import image as image_contract
from octostack.contracts.compute_agent import ImageRef
from octostack.engines.virt.qemu import convert, files
from octostack.engines.virt.qemu.disks import inspect_file
from octostack.engines.virt.qemu.layout import Layout, image_driver
from octostack.wire.diskformats import Inspector, refusal

_log = log.get("virt")

_FETCHES_MAX = 2  # at a time: disks and lines are shared
_COPY_BYTES = 1 << 20


class Images:
    """`ensure` has an image in the cache; `source` is the Image service."""

    def __init__(self, layout: Layout, source: image_contract.Images, bytes_max: int) -> None:
        self._layout = layout
        self._source = source
        self._bytes_max = bytes_max
        self._locks: dict[str, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(_FETCHES_MAX)

    async def ensure(self, image: ImageRef) -> Path:
        """The image's file, fetched if need be, by one caller for all.

        Raises Corrupt (not the bytes that were promised), Invalid (not what it says it is),
        NotFound, Unavailable.
        """
        path = self._layout.image(image)
        if path.exists():
            os.utime(path)
            return path
        lock = self._locks.setdefault(image.sha512, asyncio.Lock())
        try:
            async with lock:
                if not path.exists():
                    async with self._slots:
                        await self._fetch(image, path)
                return path
        finally:
            self._locks.pop(image.sha512, None)

    def evict(self, used: Iterable[ImageRef]) -> list[str]:
        """Delete unused images until the cache keeps its bound; their names."""
        entries = [(p.stat(), p) for p in self._layout.images.iterdir()]
        total = sum(stat.st_blocks * 512 for stat, _ in entries)
        if total <= self._bytes_max:
            return []
        kept = {self._layout.image(ref).name for ref in used} | self._backing_files()
        gone = []
        for stat, path in sorted(entries, key=lambda e: e[0].st_mtime):
            if total <= self._bytes_max:
                break
            if path.name not in kept and not path.name.startswith("."):
                path.unlink()
                total -= stat.st_blocks * 512
                gone.append(path.name)
        return gone

    def _backing_files(self) -> set[str]:
        """Images some disk lies over, by the disks' own word."""
        found = set()
        for disk in self._layout.machines.glob("*/*.qcow2"):
            backing = inspect_file(disk).backing_file
            if backing is not None:
                found.add(Path(backing).name)
        return found

    async def _fetch(self, image: ImageRef, path: Path) -> None:
        temporary = path.with_name(f".{image.sha512}.part")
        try:
            location = await self._source.locate(image.id)
            local = None if location.path is None else Path(location.path)
            if local is not None and os.access(local, os.R_OK):
                await asyncio.to_thread(_copy, local, temporary, image)
            else:
                await self._download(temporary, image)
            await convert.flatten(temporary, image.disk_format, image_driver(image))
            await asyncio.to_thread(_publish, temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _log.info("image cached", image=image.id, size_bytes=path.stat().st_size)

    async def _download(self, path: Path, image: ImageRef) -> None:
        check = _Check(image)
        with path.open("wb") as f:
            while data := await self._source.read(
                image.id, check.size_bytes, image_contract.READ_BYTES_MAX
            ):
                await asyncio.to_thread(_take, check, f.write, data)
        check.finish()


class _Check:
    """Digest, size and format of bytes as they pass."""

    def __init__(self, image: ImageRef) -> None:
        self._image = image
        self._digest = hashlib.sha512()
        self._inspector = Inspector()
        self.size_bytes = 0

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises Corrupt when they are more than there should be."""
        self.size_bytes += len(data)
        if self.size_bytes > self._image.size_bytes:
            raise Corrupt(f"image {self._image.id} is longer than it should be")
        self._digest.update(data)
        self._inspector.feed(data)

    def finish(self) -> None:
        """Raises Corrupt or Invalid when these were not the image's bytes."""
        image = self._image
        if self.size_bytes != image.size_bytes or self._digest.hexdigest() != image.sha512:
            raise Corrupt(f"image {image.id} is not what was stored", code="image.corrupt")
        # The Image service has looked too; a host does not depend on it.
        reason = refusal(self._inspector.finish(), image.disk_format)
        if reason is not None:
            raise Invalid(f"image {image.id}: {reason}", code="image.refused")


def _take(check: _Check, write: Callable[[bytes], object], data: bytes) -> None:
    check.feed(data)
    write(data)


def _copy(source: Path, target: Path, image: ImageRef) -> None:
    check = _Check(image)
    with source.open("rb") as reader, target.open("wb") as writer:
        while data := reader.read(_COPY_BYTES):
            _take(check, writer.write, data)
    check.finish()


def _publish(temporary: Path, path: Path) -> None:
    with temporary.open("rb") as f:
        os.fsync(f.fileno())
    temporary.chmod(0o444)
    temporary.replace(path)
    files.sync_directory(path.parent)
