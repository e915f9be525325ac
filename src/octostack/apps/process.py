# SPDX-License-Identifier: Apache-2.0
"""One process of the cloud, from its start to its end: all parts, or those it is asked to run."""

import asyncio
import gc
import importlib
import itertools
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from octostack.apps import clients, config, control, external, neighbours, parts
from octostack.apps.cloud import Cloud
from octostack.apps.start import Options
from octostack.apps.state import Ready, Remembered, StateDir
from octostack.base import clock, log
from octostack.base.errors import Unavailable
from octostack.runtime.bus import Bus, Transport
from octostack.runtime.http import server
from octostack.runtime.http.front import Front
from octostack.runtime.service import Runtime
from octostack.runtime.tasks import Supervisor

PORT = 9000
GARBAGE_OBJECTS = 20_000  # a request makes hundreds of objects that reference counts take away
REQUESTS_FIRST_S = 0.05  # so long a part waits to be built while there are requests to answer
_log = log.get("process")

Report = Callable[[str, float], None]  # what came up, after how many milliseconds


class Process:
    """The parts that `options` name of the installation in `state`, or all of them.

    Its `port` and `simulate` None: as at the last start, else by the configuration.
    """

    def __init__(
        self,
        state: StateDir,
        options: Options,
        *,
        report: Report = lambda _name, _ms: None,
    ) -> None:
        self.state = state
        self.names = options.parts
        self.name = options.name or (socket.gethostname() if options.parts else "main")
        self._port = options.port
        self._simulate = options.simulate
        self._report = report
        self._began = options.began or clock.monotonic()
        self._took_ms: dict[str, float] = {}
        self._stop = asyncio.Event()

    async def run(self, announce: Callable[[Ready], None]) -> None:
        """Bring everything up, `announce` it, and serve until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        settings = config.load(self.state.path)
        log.configure(level=settings.log.level)
        chosen = self._choose(settings)
        with _listening(settings, chosen.port) as sock:
            port = sock.getsockname()[1]
            chosen = msgspec.structs.replace(chosen, port=port)
            runtime = self._runtime(settings, sock)
            cloud = Cloud(runtime)
            opening = _Opening(cloud.front, sock, runtime.tasks, self._parts(chosen))

            async def came_up(name: str) -> None:
                if name == "identity":
                    self._write_logins(runtime)
                await opening.after(name)
                self._came_up(name)

            try:
                builders = self._builders(settings, chosen)
                await cloud.start(builders, came_up, neighbours.before(self.names))
                await control.serve(cloud, self._control_socket())
                self._announce(cloud, chosen, announce)
                await self._stop.wait()
                _log.info("stopping")
                await opening.close()
            finally:
                await cloud.stop()

    def _control_socket(self) -> Path:
        return self.state.control_socket(self.names, self.name if self.names else "")

    def _write_logins(self, runtime: Runtime) -> None:
        passwords = {u: runtime.secrets.text(f"{u}-password") for u in clients.LOGINS.values()}
        clients.write(self.state.path, runtime.endpoint("identity"), passwords)

    def _announce(
        self, cloud: Cloud, chosen: Remembered, announce: Callable[[Ready], None]
    ) -> None:
        """Say that all is up, and freeze what start-up left in memory."""
        runtime = cloud.runtime
        self._came_up("ready")
        facts = {k: str(v) for s in cloud.services for k, v in s.facts.items()}
        ready = Ready(
            pid=os.getpid(),
            url=runtime.public_url,
            simulated_hosts=chosen.simulate,
            facts=facts,
            took_ms=self._took_ms,
        )
        if not self.names:
            self.state.remember(chosen)
            self.state.set_ready(ready)
        announce(ready)
        gc.collect()
        gc.freeze()  # modules and route tables live for ever: no later collection need look
        gc.set_threshold(GARBAGE_OBJECTS)
        gc.enable()

    def _choose(self, settings: config.Root) -> Remembered:
        last = self.state.remembered()
        port = self._port if self._port is not None else settings.server.port
        if self.names and self._port is None:
            port = _endpoint_port(settings, self.names)
        simulate = self._simulate if self._simulate is not None else settings.hosts.simulate
        if simulate == 0 and self._simulate is None:
            simulate = last.simulate
        if port is None:
            port = last.port or PORT
        net = last.external
        if not simulate and not self.names and "first" not in settings.network:
            net = external.claim(self.state.path, net)
        return Remembered(port=port, simulate=simulate, external=net)

    def _runtime(self, settings: config.Root, sock: socket.socket) -> Runtime:
        address, port = sock.getsockname()[:2]
        address = f"[{address}]" if ":" in address else address
        if self.names and self._port is None:  # the whole cloud is elsewhere, at the usual port
            port = settings.server.port or PORT
        # One address for all of them where there is one: then clients never see the parts' own.
        shown = settings.server.public_url or settings.endpoints.get("front", "")
        tasks = Supervisor()
        return Runtime(
            state_dir=self.state.path,
            bus=Bus(tasks, _transport(settings, self.state)),
            tasks=tasks,
            public_url=shown or f"http://{address}:{port}",
            database_url=settings.database.url or f"sqlite:{self.state.path / 'db'}",
            endpoints={} if shown else settings.endpoints,
            name=self.name,
        )

    def _parts(self, chosen: Remembered) -> list[parts.Part]:
        wanted = [p for p in parts.SERVICES if not self.names or p.name in self.names]
        if not self.names or "hosts" in self.names:
            wanted += parts.SIMULATED_HOSTS if chosen.simulate else parts.HOST
        return wanted

    def _builders(
        self, settings: config.Root, chosen: Remembered
    ) -> list[tuple[str, parts.Builder]]:
        return [
            (part.name, part.builder(_table(part, settings, chosen)))
            for part in self._parts(chosen)
        ]

    def _came_up(self, name: str) -> None:
        took_ms = (clock.monotonic() - self._began) * 1000
        self._took_ms[name] = round(took_ms, 1)
        self._report(name, took_ms)
        _log.info("up", name=name, after_ms=round(took_ms))


class _Opening:
    """The APIs answer from the first part on; between parts, requests come first."""

    def __init__(
        self, front: Front, sock: socket.socket, tasks: Supervisor, wanted: Sequence[parts.Part]
    ) -> None:
        self._http = server.Server(front, sock)
        self._tasks = tasks
        self._serving: asyncio.Task[None] | None = None
        self._modules = {a.name: b.module for a, b in itertools.pairwise(wanted)}
        for part in wanted:
            for prefix in part.prefixes:
                front.expect(part.name, prefix, part.faults)

    async def after(self, name: str) -> None:
        """Serve, and load what the part after `name` needs: in a thread, which may wait."""
        if self._serving is None:
            self._serving = self._tasks.start("http", self._http.run)
            await self._http.ready()
        await self._http.settled(REQUESTS_FIRST_S)
        if name in self._modules:
            await asyncio.to_thread(importlib.import_module, self._modules[name])

    async def close(self) -> None:
        """Finish the requests under way."""
        self._http.stop()
        if self._serving is not None:
            await self._serving


def _endpoint_port(settings: config.Root, names: Sequence[str]) -> int:
    """Where parts on their own listen: the port of the first one's endpoint, or a free one."""
    return urlsplit(settings.endpoints.get(names[0], "").split(",")[0]).port or 0


def _table(part: parts.Part, settings: config.Root, chosen: Remembered) -> dict[str, Any]:
    """The part's own table; what is not given there is chosen to suit this machine."""
    table: dict[str, Any] = dict(getattr(settings, part.name))
    if part in parts.SIMULATED_HOSTS:
        return {"hosts": chosen.simulate, **table}
    if part in parts.HOST:
        return {"host": settings.hosts.name or socket.gethostname(), **table}
    if part.name == "network" and chosen.external and "first" not in table:
        net = chosen.external
        table["first"] = {
            "external_cidr": f"{net}.0/24",
            "external_gateway": f"{net}.1",
            "external_first": f"{net}.10",
            "external_last": f"{net}.254",
        }
    return table


def _listening(settings: config.Root, port: int) -> socket.socket:
    """The chosen port; when nobody asked for that one and it is taken, a free one."""
    try:
        return server.listen(settings.server.host, port)
    except Unavailable:
        if settings.server.port == port or port != PORT:
            raise
        return server.listen(settings.server.host, 0)


def _transport(settings: config.Root, state: StateDir) -> Transport | None:
    if not settings.bus.url:
        return None
    from octostack.runtime.bus.nats import Nats, NatsConfig  # noqa: PLC0415 - only where it is used

    token = ""
    if settings.bus.token_file:
        token = (state.path / settings.bus.token_file).read_text().strip()
    servers = tuple(settings.bus.url.split(","))
    return Nats(NatsConfig(servers=servers, token=token, prefix=settings.bus.prefix))
