# SPDX-License-Identifier: Apache-2.0
"""Rows and bytes in step: how data comes to be an image's, and how it is given up.

The life of an upload: a transaction marks the image (`saving`, with a fresh key); the bytes go to
the blob store under that key, hashed and inspected on the way; they are made durable; a second
transaction names the key as the image's data. Whatever ends it early sets the image back to
`queued` and drops the bytes. If the process dies, `loops.scrub` does the same at the next start.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from octostack.base import clock
from octostack.base.errors import Invalid, NotFound
from octostack.runtime.db import Database, Tx
from octostack.services.image.core import quota, states
from octostack.services.image.core.intake import Intake
from octostack.services.image.core.quota import Limits
from octostack.services.image.model import SAVING, Image, Stored
from octostack.services.image.store import images
from octostack.services.image.store.blobs import Blobs, Writer

CHUNK_BYTES = 1 << 20


class Vault(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows and bytes are, and what a project may have of them."""

    db: Database
    blobs: Blobs
    limits: Limits
    size_max: int


@asynccontextmanager
async def receiving(vault: Vault, image: Image, key: str) -> AsyncIterator[Writer]:
    """A writer for `key`; if the block fails the image is queued again and no byte is left."""
    writer: Writer | None = None
    try:
        writer = await vault.blobs.create(key)
        yield writer
    except BaseException:
        await asyncio.shield(give_up(vault, image.id, key, writer))
        raise
    else:
        await writer.release()


async def take_in(
    vault: Vault, writer: Writer, stream: AsyncIterator[bytes], image: Image
) -> Stored:
    """Write the stream, hash it, look at it; one chunk is worked on while the next arrives."""
    intake = Intake(vault.size_max)
    loop = asyncio.get_running_loop()
    parts = (*intake.parts, writer.write)
    working: asyncio.Future[list[None]] | None = None
    try:
        async for chunk in _blocks(stream):
            if working is not None:
                await working
            intake.count(chunk)
            working = asyncio.gather(*(loop.run_in_executor(None, p, chunk) for p in parts))
    finally:
        if working is not None:  # the threads must be done before the file is closed or dropped
            await asyncio.shield(working)
    return intake.finish(image.disk_format, image.container_format)


async def settle(vault: Vault, image: Image, stored: Stored) -> Image:
    """Name the bytes as the image's data. Raises NotFound (410) if it was deleted meanwhile."""
    check_refusal(stored)
    async with vault.db.write() as tx:
        now = await still(tx, image)
        assert now.incoming_key is not None
        done = states.filled(now, stored, now.incoming_key, clock.now())
        await check_quota(vault, tx, now, stored.size)
        await images.save(tx, now, done)
        await images.drop_staged(tx, image.id)
    return done


async def give_up(vault: Vault, image_id: str, key: str, writer: Writer | None = None) -> None:
    """The image waits for data again, and what came under `key` is dropped."""
    async with vault.db.write() as tx:
        image = await images.find(tx, image_id)
        if image is not None and image.incoming_key == key:
            await images.save(tx, image, states.emptied(image, clock.now()))
            await images.drop_staged(tx, image_id)
    if writer is not None:
        await writer.abandon()
    await vault.blobs.delete(key)


async def drop(vault: Vault, image: Image) -> None:
    """Remove the bytes of a deleted image; who is still writing some drops them itself."""
    if image.data_key is not None:
        await vault.blobs.delete(image.data_key)
    if image.incoming_key is not None and not vault.blobs.is_held(image.incoming_key):
        await vault.blobs.delete(image.incoming_key)


def check_refusal(stored: Stored) -> None:
    """Raise Invalid (415) for bytes that are not what they were declared, or not safe."""
    if stored.refusal is not None:
        raise Invalid(
            f"Image content is refused: {stored.refusal}",
            code="image.content",
            field="disk_format",
            status=415,
        )


async def still(tx: Tx, image: Image) -> Image:
    """The image as it is now. Raises NotFound (410) when its bytes are not awaited any more."""
    now = await images.find(tx, image.id)
    if now is None or now.incoming_key != image.incoming_key:
        raise NotFound(
            f"Image {image.id} could not be found after upload. The image may have been deleted "
            "during the upload, cleaning up the chunks uploaded.",
            code="image.gone",
            status=410,
        )
    return now


async def check_quota(vault: Vault, tx: Tx, image: Image, size: int | None) -> None:
    """Raise TooLarge when the project may not have `size` more bytes."""
    usage = await images.usage(tx, image.owner)
    quota.check(vault.limits, usage, "image_size_total", (size or 0) // quota.MIB)
    if image.status != SAVING:
        quota.check(vault.limits, usage, "image_count_uploading", 1)


async def _blocks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The stream in chunks large enough to be worth a thread's while."""
    parts: list[bytes] = []
    size = 0
    async for chunk in stream:
        parts.append(chunk)
        size += len(chunk)
        if size >= CHUNK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
