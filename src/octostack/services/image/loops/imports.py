# SPDX-License-Identifier: Apache-2.0
"""Imports: from what was staged, or from an address."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx2

from octostack.base import clock, log
from octostack.base.errors import Invalid, OctoError, TooLarge, Unavailable
from octostack.services.image.core import states, uris
from octostack.services.image.core.intake import Intake
from octostack.services.image.core.uris import Rules
from octostack.services.image.model import IMPORTING, Image, Stored, Task
from octostack.services.image.store import images, tasks
from octostack.services.image.store import vault as arrival
from octostack.services.image.store.vault import Vault

CONNECT_TIMEOUT_S = 10.0
SILENCE_MAX_S = 60.0
AT_ONCE = 4
LEASE_S = 30.0  # how long a process may be silent before another takes its import over

_log = log.get("image")


async def run(vault: Vault, rules: Rules) -> None:
    """Do every import that is ordered; one whose process went away is begun again."""
    while taken := await _take(vault):
        async with asyncio.TaskGroup() as group:
            for task in taken:
                group.create_task(_one(vault, rules, task, group))


async def _take(vault: Vault) -> list[Task]:
    async with vault.db.read() as tx:
        waiting = await tasks.list_open(tx)
    taken = []
    for task in waiting:
        async with vault.db.write() as tx:
            if await tasks.take(tx, task, clock.now(), LEASE_S):
                taken.append(task)
        if len(taken) == AT_ONCE:
            break
    return taken


async def _one(vault: Vault, rules: Rules, task: Task, group: asyncio.TaskGroup) -> None:
    keeper = group.create_task(_keep(vault, task))
    try:
        await _import(vault, rules, task)
    except OctoError as e:
        _log.info("import failed", image=task.image_id, reason=e.message)
        await _end(vault, task, "failure", e.message)
    else:
        await _end(vault, task, "success", "")
    finally:
        keeper.cancel()


async def _keep(vault: Vault, task: Task) -> None:
    while True:
        await asyncio.sleep(LEASE_S / 3)
        async with vault.db.write() as tx:
            await tasks.keep(tx, task, clock.now())


async def _end(vault: Vault, task: Task, status: str, message: str) -> None:
    failed = vault.blobs.name if status == "failure" else ""
    async with vault.db.write() as tx:
        await tasks.set_status(tx, task, status, clock.now(), message)
        image = await images.find(tx, task.image_id)
        if image is not None:
            await images.save(tx, image, states.marked(image, states.marks(failed=failed)))


async def _import(vault: Vault, rules: Rules, task: Task) -> None:
    async with vault.db.read() as tx:
        image = await images.find(tx, task.image_id)
        staged = await images.find_staged(tx, task.image_id)
    if image is None or image.status != IMPORTING or image.incoming_key is None:
        return  # deleted meanwhile, or done by a run before a crash
    method = task.input["import_req"]["method"]
    if method["name"] == "web-download":
        source = _download(vault.size_max, rules, method["uri"])
        await _fetch(vault, image, image.incoming_key, source)
        return
    try:
        if staged is None:
            raise Invalid("Nothing is staged for the image", code="image.not_staged")
        await arrival.settle(vault, image, await _again(vault, image, image.incoming_key))
    except OctoError:
        await arrival.give_up(vault, image.id, image.incoming_key)
        raise


async def _again(vault: Vault, image: Image, key: str) -> Stored:
    """Look at staged bytes by the formats the image has now, which may have been set since."""
    intake = Intake(vault.size_max)
    offset = 0
    while chunk := await vault.blobs.read(key, offset, arrival.CHUNK_BYTES):
        await asyncio.to_thread(intake.feed, chunk)
        offset += len(chunk)
    return intake.finish(image.disk_format, image.container_format)


async def _fetch(vault: Vault, image: Image, key: str, source: AsyncIterator[bytes]) -> None:
    await vault.blobs.delete(key)  # a run before a crash may have begun
    async with arrival.receiving(vault, image, key) as writer:
        stored = await arrival.take_in(vault, writer, source, image)
        arrival.check_refusal(stored)
        await writer.finish()
        await arrival.settle(vault, image, stored)


async def _download(size_max: int, rules: Rules, uri: str) -> AsyncIterator[bytes]:
    """The bytes at an address that passes the rules. Redirects are not followed.

    The name is resolved once, and what was checked is what is connected to: a name server may
    give another answer to a second question.
    """
    host = uris.host_of(uri, rules)
    addresses = await resolve(host)
    uris.check_addresses(addresses, rules)
    url = httpx2.URL(uri)
    at_address = url.copy_with(host=addresses[0])
    headers = {"host": url.netloc.decode(), "accept-encoding": "identity"}
    timeout = httpx2.Timeout(SILENCE_MAX_S, connect=CONNECT_TIMEOUT_S)
    try:
        async with (
            httpx2.AsyncClient(timeout=timeout, trust_env=False) as client,
            client.stream(
                "GET", at_address, headers=headers, extensions={"sni_hostname": host}
            ) as answer,
        ):
            if answer.status_code != 200:
                raise Unavailable(f"{host} answered {answer.status_code}", code="image.download")
            if int(answer.headers.get("content-length") or 0) > size_max:
                raise TooLarge("The image is larger than we take", code="image.too_large")
            async for chunk in answer.aiter_raw():
                yield chunk
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as e:
        raise Unavailable(f"Download from {host} failed: {e}", code="image.download") from e


async def resolve(host: str) -> list[str]:
    """The addresses of a host, the preferred first. Raises Unavailable."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as e:
        raise Unavailable(f"{host} has no address: {e.strerror}", code="image.download") from e
    return [str(address[0]) for *_rest, address in found]
