# SPDX-License-Identifier: Apache-2.0
"""Consoles over a real WebSocket: bytes both ways, and nobody without the right token."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import websockets

from octostack.runtime.http.server import Server, listen
from octostack.services.compute.api import viewer
from octostack.testing.cloud import TestCloud
from octostack.testing.compute import Neighbours

pytestmark = pytest.mark.anyio


@pytest.fixture
async def port(cloud: TestCloud) -> AsyncIterator[int]:
    """Where the cloud listens."""
    with listen("127.0.0.1", 0) as socket:
        server = Server(cloud.cloud.front, socket)
        task = cloud.runtime.tasks.start("http", server.run)
        await server.ready()
        yield socket.getsockname()[1]
        server.stop()
        await asyncio.wait({task})


async def test_bytes_both_ways_and_only_with_the_token(
    cloud: TestCloud, member: Any, neighbours: Neighbours, port: int, tmp_path: Path
) -> None:
    async def guest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RFB 003.008\n")
        writer.write((await reader.read(100)).upper())
        await writer.drain()
        writer.close()

    path = tmp_path / "console"
    listening = await asyncio.start_unix_server(guest, path)
    for agent in neighbours.agents.values():
        agent.console = f"unix:{path}"
    server_id = await member.boot(neighbours.images.add())
    body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    made = await member("POST", f"/servers/{server_id}/remote-consoles", body, status=200)
    url = urlsplit(made["remote_console"]["url"])
    where = parse_qs(url.query)["path"][0]  # as noVNC reads it
    async with websockets.connect(f"ws://127.0.0.1:{port}/{where}", subprotocols=["binary"]) as ws:
        assert ws.subprotocol == "binary"
        got = await ws.recv()
        await ws.send(b"hello")
        while len(got) < 17:
            got += await ws.recv()
        assert got == b"RFB 003.008\nHELLO"
        with pytest.raises(websockets.ConnectionClosed):
            await ws.recv()
    for token in ("", "nonsense", where[-10:]):
        with pytest.raises(websockets.InvalidStatus):
            async with websockets.connect(f"ws://127.0.0.1:{port}/console?token={token}"):
                pass
    with pytest.raises(websockets.InvalidStatus):  # a page of another site
        async with websockets.connect(
            f"ws://127.0.0.1:{port}/{where}", origin="http://elsewhere.example"
        ):
            pass
    [compute] = [s for s in cloud.cloud.services if s.name == "compute"]
    app = compute.apis[0].app
    app.config = msgspec.structs.replace(app.config, console_ttl_s=0.0)
    late = await member("POST", f"/servers/{server_id}/remote-consoles", body, status=200)
    path = parse_qs(urlsplit(late["remote_console"]["url"]).query)["path"][0]
    with pytest.raises(websockets.InvalidStatus):  # it has expired
        async with websockets.connect(f"ws://127.0.0.1:{port}/{path}"):
            pass
    await member("DELETE", f"/servers/{server_id}", status=204)
    await member.until(server_id, "gone")
    with pytest.raises(websockets.InvalidStatus):  # the token went with its server
        async with websockets.connect(f"ws://127.0.0.1:{port}/{where}"):
            pass
    listening.close()


async def test_the_viewer(cloud: TestCloud, tmp_path: Path) -> None:
    place = tmp_path / "novnc"
    (place / "core").mkdir(parents=True)
    (place / viewer.PAGE).write_text("<title>noVNC</title>")
    (place / "core" / "rfb.js").write_text("export default 1")
    (place / "core" / "notes.sh").write_text("secret")
    [compute] = [s for s in cloud.cloud.services if s.name == "compute"]
    app = compute.apis[0].app
    async with cloud.client() as anyone:
        app.viewer = {}
        missing = await anyone.get(f"/console/{viewer.PAGE}")
        assert missing.status_code == 404 and "make setup" in missing.text
        app.viewer = viewer.files(str(place))
        page = await anyone.get(f"/console/{viewer.PAGE}?path=console%3Ftoken%3Dt")
        script = await anyone.get("/console/core/rfb.js")
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["referrer-policy"] == "no-referrer" and "noVNC" in page.text
        assert script.headers["content-type"].startswith("text/javascript")
        for path in ("core/notes.sh", "../novnc/core/rfb.js", "%2e%2e/secret", "core", "none.js"):
            assert (await anyone.get(f"/console/{path}")).status_code == 404, path
