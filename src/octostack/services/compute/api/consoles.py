# SPDX-License-Identifier: Apache-2.0
"""Console output, and consoles over WebSocket behind tokens.

A token opens one console of one server, for a while; only its hash is kept. The socket is a
bridge to the agent of the server's host, wherever that is: RFB for VNC (what noVNC speaks),
plain bytes for serial.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

from octostack.base import clock, ids, log
from octostack.base.errors import (
    Conflict,
    Invalid,
    NotFound,
    OctoError,
    Unavailable,
    Unsupported,
)
from octostack.contracts.compute_agent import ComputeAgent, ConsoleKind
from octostack.runtime.http import Disconnected, Request, WebSocket
from octostack.services.compute.api import lookup, viewer
from octostack.services.compute.core import tokens
from octostack.services.compute.model import ConsoleToken, Server
from octostack.services.compute.schema import actions as schema
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import hosts

_log = log.get("consoles")
_PIECE_BYTES = 128 << 10
_WAIT_S = 10.0
_KINDS: dict[str, ConsoleKind] = {"vnc": "vnc", "serial": "serial"}
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


async def bridge(app: App, req: Request, socket: WebSocket) -> None:
    """WebSocket /console?token=..."""
    if not _same_origin(req, app.public_url):
        await socket.close(4403, "origin")
        return
    async with app.cell_db.read() as tx:
        found = await hosts.find_token(tx, tokens.hash_of(req.query.get("token", "")))
    if found is None:
        await socket.close(4401, "The token is unknown or has expired")
        return
    agent = app.agent(found.host)
    try:
        session = await agent.open_console(found.server_id, _KINDS[found.kind])
    except OctoError as e:
        _log.warning("console unreachable", server=found.server_id, why=e.message)
        await socket.close(4503, "The console cannot be reached")
        return
    try:
        await socket.accept("binary" if "binary" in socket.subprotocols else None)
        await _pump(socket, agent, session)
    finally:
        await asyncio.shield(agent.close_console(session))


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
    return f"{app.public_url}{PREFIX}/{viewer.PAGE}?path={path}"


def _same_origin(req: Request, public_url: str) -> bool:
    """A page of another site must not open a console with a stolen link."""
    origin = req.headers.get("origin")
    ours = ("//" + req.headers.get("host", ""), public_url)
    return not origin or urlsplit(origin).hostname in {urlsplit(url).hostname for url in ours}


async def _pump(socket: WebSocket, agent: ComputeAgent, session: str) -> None:
    """Bytes both ways until either side ends: the viewer, the console, or its host."""

    async def outwards() -> None:
        number = 1
        while True:
            data = await agent.read_console(session, number, _WAIT_S)
            if data:
                await socket.send_data(data)
                number += 1

    async def inwards() -> None:
        number = 0
        while True:
            data = await socket.receive_data()
            for start in range(0, len(data), _PIECE_BYTES):
                number += 1
                await agent.write_console(session, number, data[start : start + _PIECE_BYTES])

    async def until_over(way: Awaitable[None]) -> None:
        with suppress(OctoError, Disconnected):
            await way

    async with asyncio.TaskGroup() as group:
        ways = [group.create_task(until_over(way)) for way in (outwards(), inwards())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for task in ways:
            task.cancel()
    with suppress(Disconnected):
        await socket.close(1000)
