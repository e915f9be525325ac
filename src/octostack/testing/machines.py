# SPDX-License-Identifier: Apache-2.0
"""Two machines in network namespaces, and a cloud over both: NATS between, VXLAN for the tenants.

    one   the control plane, the broker, the way to the world; a host
    two   a host, whose process knows of the others nothing but the broker's address

Each has an interface for the management (the broker) and one for the tunnels. Needs root.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from octostack.agents.compute import service as compute_service
from octostack.agents.network import service as network_service
from octostack.apps.start import Options
from octostack.engines.sdn import devices
from octostack.runtime.secrets import Secrets
from octostack.testing.guests import own_namespace
from octostack.testing.nats import Broker
from octostack.testing.split import SERVICES, Process

CODE = "%04x" % (os.getpid() & 0xFFFF)
API_PORT = 9000  # in a namespace of its own nobody else has it
PATIENCE_S = 120.0
PROCESSES = ("control", "one", "two")


class Machines:
    """The machines' directories and processes, and a client of the cloud."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state_dirs = {name: directory / name for name in ("one", "two")}
        self.netns = {name: f"octo-{CODE}-{name}" for name in ("one", "two")}
        self.processes: dict[str, Process] = {}
        self._token = ""

    def start(self, name: str) -> None:
        """Start a process: ``control``, or the host ``one`` or ``two``."""
        machine = "two" if name == "two" else "one"
        options = Options(
            state_dir=str(self.state_dirs[machine]),
            parts=SERVICES if name == "control" else ("hosts",),
        )
        # `ip netns exec` would hide the mounts it makes from everybody
        within = ("nsenter", f"--net={devices.NETNS_DIR / self.netns[machine]}")
        log = self.directory / f"{name}.log"
        self.processes[name] = Process(name, options, log, within)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.processes[name].kill()

    def configure(self) -> None:
        """Write what each process is to know, and what the broker is."""
        self.broker = Broker(self.directory, "10.99.0.1")
        bus = {"url": self.broker.config.servers[0], "token_file": "bus-token"}
        for number, (name, state_dir) in enumerate(self.state_dirs.items(), 1):
            state_dir.mkdir(mode=0o711)
            token = state_dir / "bus-token"
            token.touch(mode=0o600)
            token.write_text(self.broker.token)
            network: dict[str, Any] = {
                "tunnel": f"192.0.2.{number}/24",
                "underlay": f"u{CODE}{number}",
            }
            tables: dict[str, dict[str, Any]] = {
                "bus": bus,
                "hosts": {"name": name},
                "compute_agent": {"accelerator": "tcg"},
                "network_agent": network,
            }
            if name == "one":
                tables["endpoints"] = dict.fromkeys(SERVICES, f"http://127.0.0.1:{API_PORT}")
            else:
                tables["network_agent.outside"] = {}
            (state_dir / "octostack.toml").write_text(_toml(tables))

    # ---- a client, as admin -------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Any = None, content: bytes | None = None) -> Any:
        """An answer's body; what is away is asked again. Raises AssertionError for an error."""
        for _ in patiently(f"{method} {path}"):
            try:
                headers = {"x-auth-token": self._token or self._login()}
                headers["openstack-api-version"] = "compute 2.90"
                if content is not None:
                    headers["content-type"] = "application/octet-stream"
                answer = httpx2.request(
                    method, f"http://127.0.0.1:{API_PORT}{path}",
                    headers=headers, json=body, content=content, timeout=30,
                )  # fmt: skip
            except httpx2.TransportError:
                continue
            if answer.status_code < 500:
                break
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def _login(self) -> str:
        password = Secrets(self.state_dirs["one"] / "secrets").text("admin-password")
        domain = {"id": "default"}
        user = {"name": "admin", "domain": domain, "password": password}
        identity = {"methods": ["password"], "password": {"user": user}}
        auth = {"identity": identity, "scope": {"project": {"name": "admin", "domain": domain}}}
        url = f"http://127.0.0.1:{API_PORT}/identity/v3/auth/tokens"
        answer = httpx2.post(url, json={"auth": auth}, timeout=30)
        answer.raise_for_status()
        self._token = str(answer.headers["x-subject-token"])
        return self._token

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait for something outside of this process. Raises AssertionError with the logs."""
        try:
            for _ in patiently(what):
                if holds():
                    return
        except AssertionError as e:
            logs = "\n".join(f"== {name}\n{p.tail()}" for name, p in self.processes.items())
            raise AssertionError(f"{e}\n{logs}") from None


def patiently(what: str) -> Iterator[None]:
    """Try again until it is too late. Raises AssertionError."""
    until = time.monotonic() + PATIENCE_S  # noqa: TID251 - of other processes
    while time.monotonic() < until:  # noqa: TID251
        yield
        time.sleep(0.1)
    raise AssertionError(f"not in {PATIENCE_S:g} s: {what}")


def _toml(tables: dict[str, dict[str, Any]]) -> str:
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def two_machines(directory: Path) -> AsyncIterator[Machines]:
    """Both up inside the block, which is itself on machine ``one``; nothing is left after it."""
    made = Machines(directory)
    async with own_namespace(made.netns["one"]):
        await devices.ensure_netns(made.netns["two"])
        try:
            await _wire(made)
            made.configure()
            with _running(made):
                yield made
        finally:
            for name, state_dir in made.state_dirs.items():
                await _remove(made.netns[name], state_dir)
            await devices.delete_netns(made.netns["two"])


async def _wire(made: Machines) -> None:
    for kind in ("m", "u"):
        one, two = f"{kind}{CODE}1", f"{kind}{CODE}2"
        peer = ("peer", "name", two, "netns", made.netns["two"])
        await devices.ip("link", "add", one, "type", "veth", *peer)
    for number, (name, netns) in enumerate(made.netns.items(), 1):
        inside = "" if name == "one" else netns
        link = f"m{CODE}{number}"
        await devices.ip("addr", "add", f"10.99.0.{number}/24", "dev", link, netns=inside)
        await devices.ip("link", "set", link, "up", netns=inside)


@contextmanager
def _running(made: Machines) -> Iterator[None]:
    with made.broker:
        try:
            for name in PROCESSES:
                made.start(name)
            for name in PROCESSES:
                made.processes[name].ready()
            yield
        finally:
            for process in reversed(made.processes.values()):
                process.kill()


async def _remove(netns: str, state_dir: Path) -> None:
    """What is left of a host, in its own namespace."""
    async with own_namespace(netns, keep=True):
        await compute_service.host_remove(state_dir)
        await network_service.host_remove(state_dir)
