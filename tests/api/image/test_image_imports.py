# SPDX-License-Identifier: Apache-2.0
"""Imports: what was staged, what is fetched, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from octostack.base import ids
from octostack.services.image.core.uris import Rules
from octostack.services.image.loops import imports
from octostack.services.image.model import Task
from octostack.services.image.service import Config
from octostack.services.image.store import tasks

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 5000
STREAM = {"content-type": "application/octet-stream"}


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """The address of a web server that knows /disk, /short and /endless."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split()[1].decode()
        while (await reader.readline()).strip():
            pass
        size = {"/disk": len(DATA), "/short": len(DATA) + 7}.get(path)
        if size is None:
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        else:
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode() + DATA)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
def image_config(site: str) -> Config:
    port = int(site.rpartition(":")[2])
    return Config(web_download=Rules(ports=(port,), private_addresses=True))


@pytest.fixture
def settled(cloud: Any) -> Any:
    """Wait for the imports that were ordered; then an image and its last task."""
    loops = [loop for service in cloud.cloud.services for loop in service.loops]
    (imports,) = [loop for loop in loops if loop.name == "image.imports"]

    async def wait(user: Any, image_id: str) -> Any:
        async with asyncio.timeout(60):
            await imports.idle()
        tasks = (await user.ask("GET", f"/images/{image_id}/tasks")).json()["tasks"]
        return await user.show(image_id), tasks[0]

    return wait


async def order(user: Any, image_id: str, name: str, **method: Any) -> Any:
    body = {"method": {"name": name} | method}
    return await user.ask("POST", f"/images/{image_id}/import", body)


async def stage(user: Any, image_id: str, data: bytes) -> Any:
    return await user.http.put(f"/image/v2/images/{image_id}/stage", content=data, headers=STREAM)


async def test_staged_bytes_become_the_image(user: Any, settled: Any) -> None:
    member = user()
    image_id = await member.make()
    early = await order(member, image_id, "glance-direct")
    assert early.status_code == 409
    assert "staged" in early.text
    assert (await stage(member, image_id, DATA)).status_code == 204
    assert (await member.show(image_id))["status"] == "uploading"
    assert (await stage(member, image_id, DATA)).status_code == 409
    assert (await order(member, image_id, "glance-direct")).status_code == 202
    image, task = await settled(member, image_id)
    assert (image["status"], image["size"], task["status"]) == ("active", len(DATA), "success")
    assert (await member.ask("GET", f"/images/{image_id}/file")).content == DATA
    assert (await order(member, image_id, "glance-direct")).status_code == 409


async def test_a_name_is_resolved_once_and_that_address_is_connected_to(
    user: Any, settled: Any, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers otherwise the second time leads nowhere else."""
    asked: list[str] = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1" if len(asked) == 1 else "192.0.2.1"]

    monkeypatch.setattr(imports, "resolve", resolve)
    member = user()
    image_id = await member.make()
    port = site.rpartition(":")[2]
    uri = f"http://images.invalid:{port}/disk"
    assert (await order(member, image_id, "web-download", uri=uri)).status_code == 202
    image, task = await settled(member, image_id)
    assert (image["status"], task["status"], asked) == ("active", "success", ["images.invalid"])


async def test_formats_may_be_told_after_staging(user: Any) -> None:
    member = user()
    made = await member.ask("POST", "/images", {"name": "later"})
    image_id = made.json()["id"]
    assert (await stage(member, image_id, DATA)).status_code == 204
    assert (await order(member, image_id, "glance-direct")).status_code == 409


async def test_staged_bytes_that_lie(user: Any, settled: Any, tmp_path: Path) -> None:
    member = user()
    image_id = await member.make(disk_format="qcow2")
    assert (await stage(member, image_id, DATA)).status_code == 204
    await order(member, image_id, "glance-direct")
    image, task = await settled(member, image_id)
    assert (image["status"], image["os_glance_failed_import"]) == ("queued", "files")
    assert "refused" in task["message"]
    assert [p for p in (tmp_path / "images").rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(("path", "good"), [("/disk", True), ("/short", False), ("/no", False)])
async def test_fetched_bytes(
    user: Any, settled: Any, site: str, path: str, good: bool, tmp_path: Path
) -> None:
    member = user()
    image_id = await member.make()
    ordered = await order(member, image_id, "web-download", uri=site + path)
    assert ordered.status_code == 202, ordered.text
    image, task = await settled(member, image_id)
    assert (image["status"], task["status"]) == (
        ("active", "success") if good else ("queued", "failure")
    )
    files = [p for p in (tmp_path / "images").rglob("*") if p.is_file()]
    assert len(files) == good
    if good:
        assert (await member.ask("GET", f"/images/{image_id}/file")).content == DATA


async def test_orders_that_are_refused(user: Any) -> None:
    member = user()
    image_id = await member.make()
    for uri in ("file:///etc/passwd", "http://127.0.0.1:22/", "", None, "http://a@b/"):
        answer = await order(member, image_id, "web-download", uri=uri)
        assert answer.status_code == 400, uri
    assert (await order(member, image_id, "teleport")).status_code == 400
    for body in ({}, {"method": {}}, {"method": "glance-direct"}, []):
        answer = await member.ask("POST", f"/images/{image_id}/import", body)
        assert answer.status_code == 400, body
    elsewhere = {"method": {"name": "glance-direct"}, "stores": ["moon"]}
    assert (await member.ask("POST", f"/images/{image_id}/import", elsewhere)).status_code == 409
    bare = (await member.ask("POST", "/images", {})).json()["id"]
    assert (await order(member, bare, "web-download", uri="http://x.org/")).status_code == 409


async def test_an_import_is_taken_once_and_over_when_its_process_is_gone(cloud: Any) -> None:
    (db,) = [db for db in cloud.runtime._databases if db.name == "image"]
    task = Task(
        id=ids.new(),
        image_id=ids.new(),
        type="api_image_import",
        status="pending",
        owner="p1",
        user_id="u1",
        request_id="req-x",
        input={},
        created_at=0.0,
        updated_at=0.0,
    )
    async with db.write() as tx:
        await tasks.insert(tx, task)
        assert await tasks.take(tx, task, 100.0, 30.0)
        assert not await tasks.take(tx, task, 120.0, 30.0)
        await tasks.keep(tx, task, 125.0)
        assert not await tasks.take(tx, task, 150.0, 30.0)
        assert await tasks.take(tx, task, 156.0, 30.0)
        await tasks.set_status(tx, task, "success", 157.0)
        assert not await tasks.take(tx, task, 999.0, 30.0)
