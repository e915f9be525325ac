# SPDX-License-Identifier: Apache-2.0
"""What Compute does for other parts: `contracts.compute` served."""

import msgspec

from octostack.base import clock
from octostack.base.errors import NotFound, Unauthorized
from octostack.contracts.compute import (
    Compute,
    ConsoleTarget,
    ExternalEvent,
    Finding,
    HostFacts,
    HostOrders,
    MachineReport,
    MetadataAnswer,
    MetadataRequest,
)
from octostack.services.compute.core import metadata as documents
from octostack.services.compute.core import tokens
from octostack.services.compute.loops import doctor, hosts
from octostack.services.compute.store import addresses
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import hosts as host_rows
from octostack.services.compute.store.cell_db import servers

_PASSWORD_BYTES_MAX = 1020  # four fields of 255, as clients know it
_CACHE_MAX = 4096


class ComputeCalls(Compute):
    """The contract over one `App`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._guests: dict[str, tuple[float, documents.Guest]] = {}

    async def register(self, facts: HostFacts) -> HostOrders:
        return await hosts.register(self._app, facts)

    async def heartbeat(self, host: str, machines: list[MachineReport]) -> HostOrders:
        return await hosts.heartbeat(self._app, host, machines)

    async def observed(self, host: str, machine: MachineReport) -> None:
        await hosts.observed(self._app, host, machine)

    async def external_events(self, events: list[ExternalEvent]) -> None:
        for event in events:
            self._guests.clear()
            waiting = self._app.plugged.get(event.server_id)
            if waiting is not None and event.name == "network-vif-plugged":
                waiting.add(event.tag)
            self._app.tell(event.server_id)

    async def metadata(self, request: MetadataRequest) -> MetadataAnswer:
        try:
            guest = await self._guest(request)
        except NotFound:
            return _answer(404, b"404 Not Found\n")
        path = "/" + request.path.strip("/")
        if (
            request.method == "POST"
            and path.startswith("/openstack/")
            and (path.endswith("/password"))
        ):
            return await self._set_password(guest, request.body)
        if request.method not in ("GET", "HEAD"):
            return _answer(405, b"405 Method Not Allowed\n")
        found = documents.find(guest, path)
        if found is None:
            return _answer(404, b"404 Not Found\n")
        kind = "application/json" if path.endswith(".json") else "text/plain; charset=UTF-8"
        if path.endswith(("/user_data", "/user-data")):
            kind = "application/octet-stream"
        return MetadataAnswer(status=200, body=found, content_type=kind)

    async def console_connect(self, token: str) -> ConsoleTarget:
        async with self._app.cell_db.read() as tx:
            found = await host_rows.find_token(tx, tokens.hash_of(token))
        if found is None:
            raise Unauthorized("The token is unknown or has expired", code="InvalidToken")
        return ConsoleTarget(
            server_id=found.server_id,
            kind=found.kind,
            host=found.host,
            address=found.address,
            expires_at=found.expires_at,
        )

    async def doctor(self, repair: bool) -> list[Finding]:
        return await doctor.examine(self._app, repair=repair)

    async def _guest(self, request: MetadataRequest) -> documents.Guest:
        """Who asks, with what there is to say; kept for a while, a boot asks thirty times."""
        key = request.port_id or f"{request.network_id}/{request.fixed_ip}"
        kept = self._guests.get(key)
        now = clock.monotonic()
        if kept and now - kept[0] < self._app.config.metadata_cache_s:
            return kept[1]
        owner = await self._app.network.port_owner(
            request.port_id, request.network_id, request.fixed_ip
        )
        server_id = owner.device_id
        async with self._app.cell_db.read() as tx:
            server = await servers.get(tx, server_id)
        ports = tuple((await self._app.network.list_ports((server_id,))).get(server_id, []))
        server = msgspec.structs.replace(server, nics=addresses.nics_of(ports, server.nics))
        guest = documents.Guest(
            server=server,
            ports=ports,
            domain=self._app.config.dhcp_domain,
            secret=self._app.secret,
            password=str(server.boot.get("password", "")),
        )
        if len(self._guests) >= _CACHE_MAX:
            self._guests.clear()
        self._guests[key] = (now, guest)
        return guest

    async def _set_password(self, guest: documents.Guest, body: bytes) -> MetadataAnswer:
        """The guest's password, encrypted by it with its key; written once."""
        if len(body) > _PASSWORD_BYTES_MAX or not body.isascii():
            return _answer(400, b"400 Bad Request\n")
        async with self._app.cell_db.write() as tx:
            server = await servers.get(tx, guest.server.id)
            if server.boot.get("password"):
                return _answer(409, b"409 Conflict\n")
            boot = server.boot | {"password": body.decode("ascii")}
            await servers.patch(tx, server.id, boot=boot)
        self._guests.clear()
        return _answer(200, b"")


def _answer(status: int, body: bytes) -> MetadataAnswer:
    return MetadataAnswer(status=status, body=body)
