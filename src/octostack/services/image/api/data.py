# SPDX-License-Identifier: Apache-2.0
"""The bytes of images: upload, stage, download. `store.vault` tells the life of an upload."""

from collections.abc import AsyncIterator

from octostack.base import clock, ids
from octostack.base.errors import Forbidden, Invalid, NotFound, TooLarge
from octostack.runtime.http import Request, Response
from octostack.services.image.api.app import App, find
from octostack.services.image.core import quota, ranges, states
from octostack.services.image.model import DEACTIVATED, SAVING, UPLOADING, Image, Stored
from octostack.services.image.store import images, vault

DATA_TYPE = "application/octet-stream"


async def upload(app: App, req: Request) -> None:
    """Take the body as the image's data."""
    size = _declared_size(app, req)
    key = ids.new()
    async with app.db.write() as tx:
        before = await find(tx, req, "upload_image")
        await vault.check_quota(app, tx, before, size)
        image = states.receiving(before, SAVING, key, clock.now())
        await images.save(tx, before, image)
    async with vault.receiving(app, image, key) as writer:
        stored = await vault.take_in(app, writer, req.stream, image)
        _check_content(stored, size)
        await writer.finish()
        await vault.settle(app, image, stored)


async def stage(app: App, req: Request) -> None:
    """Take the body, to become the image's data by an import later."""
    if "glance-direct" not in app.import_methods:
        raise NotFound("'glance-direct' method is not available at this site.", code="route")
    size = _declared_size(app, req)
    key = ids.new()
    async with app.db.write() as tx:
        before = await find(tx, req, "modify_image")
        usage = await images.usage(tx, before.owner)
        quota.check(app.limits, usage, "image_stage_total", (size or 0) // quota.MIB)
        quota.check(app.limits, usage, "image_count_uploading", 1)
        image = states.replace(
            states.moved(_formatted(before), UPLOADING, clock.now()),
            incoming_key=key,
            disk_format=before.disk_format,
            container_format=before.container_format,
        )
        await images.save(tx, before, image)
    async with vault.receiving(app, image, key) as writer:
        stored = await vault.take_in(app, writer, req.stream, image)
        _check_size(stored, size)
        await writer.finish()
        async with app.db.write() as tx:
            now = await vault.still(tx, image)
            await images.save(tx, now, states.replace(now, size=stored.size))
            await images.put_staged(tx, image.id, key, stored)


async def download(app: App, req: Request) -> Response:
    """The image's data, or the part the Range header asks for."""
    async with app.db.read() as tx:
        image = await find(tx, req, "download_image")
    if image.status == DEACTIVATED and not req.caller.is_admin:
        raise Forbidden(
            "The requested image has been deactivated. Image data download is forbidden.",
            code="image.deactivated",
        )
    if image.data_key is None or image.size is None:
        return Response(status=204)
    part = ranges.asked(req.headers.get("range"), req.headers.get("content-range"), image.size)
    whole = ranges.Part(0, image.size)
    start, stop = part or whole
    headers = {"Content-Length": str(stop - start), "Accept-Ranges": "bytes"}
    if image.checksum:
        headers["Content-MD5"] = image.checksum
    if part is not None:
        headers["Content-Range"] = part.content_range(image.size)
    return Response(
        status=206 if part else 200,
        headers=headers,
        stream=_send(app, image.data_key, start, stop),
        content_type=DATA_TYPE,
    )


def _formatted(image: Image) -> Image:
    """Staging needs no formats yet; the import will ask for them."""
    return states.replace(
        image,
        disk_format=image.disk_format or "raw",
        container_format=image.container_format or "bare",
    )


def _declared_size(app: App, req: Request) -> int | None:
    media_type = req.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != DATA_TYPE:
        raise Invalid(
            f"Invalid content type: {media_type[:100] or 'none'}; only {DATA_TYPE} is taken",
            code="media_type",
            status=415,
        )
    text = req.headers.get("x-openstack-image-size") or req.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Invalid(
            "Invalid or missing image size in request headers.", field="x-openstack-image-size"
        )
    if int(text) > app.size_max:
        raise TooLarge(
            f"The incoming image is too large: {text} bytes, at most {app.size_max} are taken",
            code="image.too_large",
        )
    return int(text)


def _check_content(stored: Stored, size: int | None) -> None:
    _check_size(stored, size)
    vault.check_refusal(stored)


def _check_size(stored: Stored, size: int | None) -> None:
    if size is not None and stored.size != size:
        raise Invalid(
            f"Size of the data ({stored.size}) does not match the size that was announced "
            f"({size}).",
            code="image.size",
            field="x-openstack-image-size",
        )


async def _send(app: App, key: str, start: int, stop: int) -> AsyncIterator[bytes]:
    while start < stop:
        chunk = await app.blobs.read(key, start, min(vault.CHUNK_BYTES, stop - start))
        if not chunk:
            return  # the client sees that Content-Length was not reached
        start += len(chunk)
        yield chunk
