# SPDX-License-Identifier: Apache-2.0
"""`contracts.image.Images`, over the same rows and bytes as the HTTP API."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from octostack.base import clock, ids
from octostack.base.errors import Conflict, Corrupt, Invalid, NotFound
from octostack.contracts.api import ApiCall
from octostack.contracts.identity import Caller
from octostack.contracts.image import (
    READ_BYTES_MAX,
    ImageInfo,
    ImageLocation,
    Images,
    SnapshotSpec,
)
from octostack.runtime.http import Inner
from octostack.services.image.api.app import App, see
from octostack.services.image.core import quota, states
from octostack.services.image.core.intake import Intake
from octostack.services.image.model import ACTIVE, QUEUED, SAVING, Image
from octostack.services.image.schema import images as schema
from octostack.services.image.store import images, vault


class ImageCalls(Images):
    """The contract over one App."""

    def __init__(self, app: App, api: Inner) -> None:
        self._app = app
        self._api = api

    async def ask(self, caller: Caller, call: ApiCall) -> bytes:
        return await self._api.ask(caller, call)

    async def get(self, caller: Caller, image_id: str) -> ImageInfo:
        async with self._app.db.read() as tx:
            return _info((await see(tx, caller, image_id)).image)

    async def locate(self, image_id: str) -> ImageLocation:
        image, key = await self._active(image_id)
        path = self._app.blobs.path(key)
        return ImageLocation(
            image_id=image.id,
            disk_format=image.disk_format or "raw",
            size_bytes=image.size or 0,
            virtual_size_bytes=image.virtual_size or image.size or 0,
            sha512=image.hash_value or "",
            path=str(path) if path else None,
            host=self._app.host,
        )

    async def read(self, image_id: str, offset: int, length: int) -> bytes:
        _image, key = await self._active(image_id)
        return await self._app.blobs.read(key, offset, min(length, READ_BYTES_MAX))

    async def create_snapshot(self, caller: Caller, spec: SnapshotSpec) -> str:
        now = clock.now()
        image = Image(
            id=ids.new(),
            name=spec.name,
            status=QUEUED,
            owner=caller.project_id,
            visibility="private",
            disk_format=spec.disk_format,
            container_format=spec.container_format,
            min_disk=spec.min_disk,
            min_ram=spec.min_ram,
            created_at=now,
            updated_at=now,
            properties=spec.properties,
        )
        schema.check(
            {
                "name": image.name,
                "disk_format": image.disk_format,
                "container_format": image.container_format,
                "min_disk": image.min_disk,
                "min_ram": image.min_ram,
                **image.properties,
            }
        )
        async with self._app.db.write() as tx:
            usage = await images.usage(tx, image.owner)
            quota.check(self._app.limits, usage, "image_count_total", 1)
            await images.insert(tx, image)
        return image.id

    async def import_file(self, image_id: str, path: str) -> ImageInfo:
        image = await self._get(image_id)
        if image.status == ACTIVE:
            return _info(image)
        key = ids.new()
        image = await self._receive(image_id, key)
        async with vault.receiving(self._app, image, key) as writer:
            stored = await vault.take_in(self._app, writer, _file(Path(path)), image)
            vault.check_refusal(stored)
            await writer.finish()
            return _info(await vault.settle(self._app, image, stored))

    async def write(self, image_id: str, offset: int, data: bytes) -> int:
        if offset + len(data) > self._app.size_max:
            raise Invalid("The image is larger than we take", code="image.too_large")
        image = await self._get(image_id)
        if image.status == QUEUED:
            if offset:
                raise Conflict("Nothing came in yet", code="image.offset", size=0)
            image = await self._receive(image_id, ids.new())
        if image.status != SAVING or image.incoming_key is None:
            raise Conflict(f"The image is {image.status}", code="image.status")
        return await self._app.blobs.append(image.incoming_key, offset, data)

    async def commit(self, image_id: str, size_bytes: int, sha512: str) -> ImageInfo:
        image = await self._get(image_id)
        if image.status == ACTIVE and image.hash_value == sha512:
            return _info(image)
        if image.status != SAVING or image.incoming_key is None:
            raise Conflict(f"The image is {image.status}", code="image.status")
        writer = await self._app.blobs.adopt(image.incoming_key)
        try:
            await writer.finish()
            intake = Intake(self._app.size_max)
            async for chunk in self._chunks(image.incoming_key):
                await asyncio.to_thread(intake.feed, chunk)
            stored = intake.finish(image.disk_format, image.container_format)
            if stored.size != size_bytes or stored.hash_value != sha512:
                raise Corrupt("What came in is not what was sent", code="image.corrupt")
            done = await vault.settle(self._app, image, stored)
        except BaseException:
            await asyncio.shield(vault.give_up(self._app, image_id, image.incoming_key, writer))
            raise
        await writer.release()
        return _info(done)

    async def discard(self, image_id: str) -> None:
        async with self._app.db.write() as tx:
            image = await images.find(tx, image_id)
            if image is None:
                return
            await images.delete(tx, image_id, clock.now())
        await vault.drop(self._app, image)

    async def _get(self, image_id: str) -> Image:
        async with self._app.db.read() as tx:
            image = await images.find(tx, image_id)
        if image is None:
            raise NotFound(f"No image found with ID {image_id}", code="image.not_found")
        return image

    async def _active(self, image_id: str) -> tuple[Image, str]:
        image = await self._get(image_id)
        if image.status != ACTIVE or image.data_key is None:
            raise Conflict(f"Image {image_id} is {image.status}", code="image.not_active")
        return image, image.data_key

    async def _receive(self, image_id: str, key: str) -> Image:
        async with self._app.db.write() as tx:
            before = await images.find(tx, image_id)
            if before is None:
                raise NotFound(f"No image found with ID {image_id}", code="image.not_found")
            image = states.receiving(before, SAVING, key, clock.now())
            await images.save(tx, before, image)
        return image

    async def _chunks(self, key: str) -> AsyncIterator[bytes]:
        offset = 0
        while chunk := await self._app.blobs.read(key, offset, vault.CHUNK_BYTES):
            offset += len(chunk)
            yield chunk


async def _file(path: Path) -> AsyncIterator[bytes]:
    try:
        source = await asyncio.to_thread(path.open, "rb")
    except OSError as e:
        raise NotFound(f"{path}: {e.strerror}", code="image.no_file") from e
    with source:
        while chunk := await asyncio.to_thread(source.read, vault.CHUNK_BYTES):
            yield chunk


def _info(image: Image) -> ImageInfo:
    return ImageInfo(
        id=image.id,
        name=image.name,
        status=image.status,
        owner=image.owner,
        visibility=image.visibility,
        disk_format=image.disk_format,
        container_format=image.container_format,
        size_bytes=image.size,
        virtual_size_bytes=image.virtual_size,
        min_disk=image.min_disk,
        min_ram=image.min_ram,
        protected=image.protected,
        hidden=image.hidden,
        checksum=image.checksum,
        sha512=image.hash_value,
        created_at=image.created_at,
        updated_at=image.updated_at,
        tags=image.tags,
        properties=image.properties,
    )
