# SPDX-License-Identifier: Apache-2.0
"""Console output, and consoles over WebSocket behind tokens.

A token opens one console of one server, for a while; only its hash is kept. The socket is a
bridge to where the host's agent has the console: RFB for VNC (what noVNC speaks), plain bytes
for serial.
"""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from octostack.base import clock, ids, log
from octostack.base.errors import Conflict, Invalid, NotFound, Unavailable, Unsupported
from octostack.contracts.compute_agent import ConsoleKind
from octostack.runtime import net
from octostack.runtime.http import Request, Response, WebSocket
from octostack.services.compute.api import lookup
from octostack.services.compute.core import tokens
from octostack.services.compute.model import ConsoleToken, Server
from octostack.services.compute.schema import actions as schema
from octostack.services.compute.schema import console_page
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import hosts

_log = log.get("consoles")
_CHUNK_BYTES = 65536
PREFIX = "/console"


async def output(app: App, req: Request, body: dict[str, Any]) -> Any:
    """The action os-getConsoleOutput."""
    server = await lookup.server(app, req)
    length = body.get("length")
    lines = None if length in (None, "") or int(length) < 0 else int(length)
    if not server.host:
        raise Conflict(f"Instance {server.id} is not ready", code="InstanceNotReady")
    try:
        text = await app.agent(server.host).console_output(server.id, lines)
    except NotFound as e:
        raise Conflict(f"Instance {server.id} is not ready", code="InstanceNotReady") from e
    if lines is not None:  # as clients count: what follows the last newline is a line too
        text = "\n".join(text.split("\n")[-lines:]) if lines else ""
    return {"output": text}


async def old_console(app: App, req: Request, body: dict[str, Any]) -> Any:
    """The actions os-getVNCConsole and os-getSerialConsole, up to 2.5."""
    server = await lookup.server(app, req)
    url = await _open(app, server, body["type"])
    return {"console": {"type": body["type"], "url": url}}


async def create(app: App, req: Request) -> Any:
    """POST /servers/{server_id}/remote-consoles"""
    server = await lookup.server(app, req)
    asked = req.body["remote_console"]
    protocol, kind = asked["protocol"], asked["type"]
    if kind not in schema.CONSOLE_TYPES or schema.CONSOLE_TYPES[kind][0] != protocol:
        if kind in schema.CONSOLE_TYPES or protocol in ("vnc", "serial"):
            raise Invalid(
                f"Invalid console type {kind} for protocol {protocol}", code="ConsoleTypeInvalid"
            )
        raise Invalid(f"Unavailable console type {kind}.", code="ConsoleTypeUnavailable")
    url = await _open(app, server, kind)
    return {"remote_console": {"protocol": protocol, "type": kind, "url": url}}


async def show_token(app: App, req: Request) -> Any:
    """GET /os-console-auth-tokens/{token}"""
    async with app.cell_db.read() as tx:
        found = await hosts.find_token(tx, tokens.hash_of(req.params["token"]))
    if found is None:
        raise NotFound("Token not found", code="InvalidToken")
    host, port = found.host, None
    if found.address.startswith("tcp:"):
        host, _, number = found.address[4:].rpartition(":")
        port = int(number)
    console = {
        "instance_uuid": found.server_id,
        "host": host,
        "port": port,
        "internal_access_path": None if port else found.address,
    }
    return {"console": console}


async def page(_app: App, _req: Request) -> Any:
    """GET /console/vnc_auto.html"""
    return Response(
        stream=_one(console_page.HTML.encode()), content_type="text/html; charset=utf-8"
    )


async def bridge(app: App, req: Request, socket: WebSocket) -> None:
    """WebSocket /console?token=..."""
    token = req.query.get("token", "")
    if not _same_origin(req):
        await socket.close(4403, "origin")
        return
    async with app.cell_db.read() as tx:
        found = await hosts.find_token(tx, tokens.hash_of(token))
    if found is None:
        await socket.close(4401, "The token is unknown or has expired")
        return
    try:
        reader, writer = await _connect(found.address)
    except (OSError, Invalid) as e:
        _log.warning("console unreachable", server=found.server_id, why=str(e))
        await socket.close(4503, "The console cannot be reached")
        return
    await socket.accept("binary" if "binary" in socket.subprotocols else None)
    try:
        await _pump(socket, reader, writer)
    finally:
        writer.close()


async def _open(app: App, server: Server, kind: str) -> str:
    """A new token's URL. Raises Conflict while the server has no console."""
    agent_kind: ConsoleKind = "serial" if kind == "serial" else "vnc"
    if kind == "xvpvnc":
        raise Invalid("Unavailable console type xvpvnc.", code="ConsoleTypeUnavailable")
    if not server.host or server.launched_at is None:
        raise Conflict(f"Instance {server.id} is not ready", code="InstanceNotReady")
    try:
        access = await app.agent(server.host).console_access(server.id, agent_kind)
    except (Conflict, NotFound, Unavailable) as e:
        raise Conflict(f"Instance {server.id} is not ready", code="InstanceNotReady") from e
    except Unsupported as e:
        raise Invalid(f"Unavailable console type {kind}.", code="ConsoleTypeUnavailable") from e
    token = ids.new()
    row = ConsoleToken(
        token_hash=tokens.hash_of(token),
        server_id=server.id,
        kind=agent_kind,
        host=access.host,
        address=access.address,
        expires_at=clock.now() + app.config.console_ttl_s,
    )
    async with app.cell_db.write() as tx:
        await hosts.insert_token(tx, row)
    if agent_kind == "serial":
        scheme = "wss" if app.public_url.startswith("https") else "ws"
        return f"{scheme}://{urlsplit(app.public_url).netloc}{PREFIX}?token={token}"
    path = quote(f"{PREFIX.strip('/')}?token={token}", safe="")
    return f"{app.public_url}{PREFIX}/vnc_auto.html?path={path}"


def _same_origin(req: Request) -> bool:
    """A page of another site must not open a console with a stolen link."""
    origin = req.headers.get("origin")
    return (
        not origin
        or urlsplit(origin).hostname == urlsplit("//" + req.headers.get("host", "")).hostname
    )


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        return await net.open_unix(Path(address[5:]))
    if address.startswith("tcp:"):
        host, _, port = address[4:].rpartition(":")
        return await asyncio.open_connection(host, int(port))
    raise Invalid(f"Not a console address: {address}")


async def _pump(
    socket: WebSocket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Bytes both ways until either side ends."""

    async def outwards() -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await socket.send_data(data)

    async def inwards() -> None:
        while True:
            writer.write(await socket.receive_data())
            await writer.drain()

    async with asyncio.TaskGroup() as group:
        ways = [group.create_task(outwards()), group.create_task(inwards())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()


async def _one(data: bytes) -> Any:
    yield data
