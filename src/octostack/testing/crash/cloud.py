# SPDX-License-Identifier: Apache-2.0
"""The test's side: a cloud of forked processes, one of which is to die at a point."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import msgspec

from octostack.apps.start import Options
from octostack.runtime.secrets import Secrets
from octostack.testing.crash.forker import Child
from octostack.testing.crash.points import Order
from octostack.testing.nats import Broker

START_TIMEOUT_S = 120.0
DEATH_TIMEOUT_S = 30.0
SERVICES = ("identity", "placement", "image", "network", "compute")

# The processes of a cloud, by name: their parts; none means all of them.
EMBEDDED: dict[str, tuple[str, ...]] = {"all": ()}
SPLIT: dict[str, tuple[str, ...]] = {"control": SERVICES, "hosts": ("hosts",)}


class Dead(Exception):
    """The process died before it was ready."""


class Process:
    """One forked process."""

    def __init__(self, pid: int, tell: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._tell = tell
        self._fd = os.pidfd_open(pid)

    def wait_ready(self) -> None:
        """Until it serves. Raises Dead."""
        poll = select.poll()
        poll.register(self._tell, select.POLLIN)
        poll.register(self._fd, select.POLLIN)
        while True:
            events = dict(poll.poll(START_TIMEOUT_S * 1000))
            assert events, f"not up: {self.tail()}"
            said = os.read(self._tell, 4096) if self._tell in events else b""
            if said == b"ready\n":
                return
            if said or self._fd in events:
                raise Dead(said.decode() or self.tail())

    def is_dead(self, timeout_s: float = 0.0) -> bool:
        """Whether it is gone, or goes within the time."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def kill(self) -> None:
        """SIGKILL, unless it was quicker; returns when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)
        assert self.is_dead(DEATH_TIMEOUT_S), "it outlived SIGKILL"
        os.close(self._fd)
        os.close(self._tell)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:]


class Cloud:
    """``with Cloud(directory, EMBEDDED) as cloud``: its processes are up inside the block."""

    def __init__(
        self, directory: Path, processes: dict[str, tuple[str, ...]], *, simulate: int = 2
    ) -> None:
        self.directory = directory
        self.state_dir = directory / "s"
        self.state_dir.mkdir(mode=0o700)
        self.processes: dict[str, Process] = {}
        self._parts = processes
        self._simulate = simulate
        self._armed = directory / "armed"
        self._armed.write_bytes(b"\0")
        self._forker: subprocess.Popen[bytes] | None = None
        self._broker = Broker(directory) if len(processes) > 1 else None
        self._token = ""
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._configure()

    def start(self, name: str, order: Order = Order()) -> None:  # noqa: B008 - frozen
        """Start one process, which dies where `order` says. Raises Dead when that is before
        it is ready."""
        pipe = self.directory / f"{name}.pipe"
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe, 0o600)
        tell = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        log = self.directory / f"{name}.log"
        child = Child(
            options=Options(
                state_dir=str(self.state_dir), parts=self._parts[name], simulate=self._simulate
            ),
            log=str(log),
            tell=str(pipe),
            armed=str(self._armed),
            passed=str(self.passed_file(name)),
            order=order,
        )
        assert self._forker and self._forker.stdin and self._forker.stdout
        self._forker.stdin.write(msgspec.json.encode(child) + b"\n")
        self._forker.stdin.flush()
        pid = int(self._forker.stdout.readline())
        self.processes[name] = Process(pid, tell, log)

    def kill(self, name: str) -> None:
        """End one process, dead or alive."""
        self.processes.pop(name).kill()

    def arm(self, *, on: bool = True) -> None:
        """From now on points count, or no longer."""
        with self._armed.open("r+b") as file:  # in place: it is mapped into the victim's memory
            file.write(b"\1" if on else b"\0")

    def passed_file(self, name: str) -> Path:
        """Where a process writes the points it passes."""
        return self.directory / f"{name}.points"

    def take_passed(self, name: str) -> list[str]:
        """The points passed since the last question."""
        file = self.passed_file(name)
        lines = file.read_text().splitlines()
        os.truncate(file, 0)
        return lines

    def client(self) -> httpx2.Client:
        """An HTTP client of the administrator."""
        self._token = self._token or self._login()
        headers = {"x-auth-token": self._token, "openstack-api-version": "compute 2.90"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60)

    def __enter__(self) -> "Cloud":
        self._forker = subprocess.Popen(
            [sys.executable, "-m", "octostack.testing.crash.forker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            if self._broker:
                self._broker.start()
            for name in self._parts:
                self.start(name)
            for process in self.processes.values():
                process.wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in list(self.processes):
            self.kill(name)
        if self._broker:
            self._broker.kill()
        if self._forker and self._forker.stdin and self._forker.stdout:
            self._forker.stdin.close()
            self._forker.wait(30)
            self._forker.stdout.close()

    def _login(self) -> str:
        password = Secrets(self.state_dir / "secrets").text("admin-password")
        domain = {"id": "default"}
        user = {"name": "admin", "domain": domain, "password": password}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": domain}},
        }
        answer = httpx2.post(f"{self.url}/identity/v3/auth/tokens", json={"auth": auth}, timeout=60)
        answer.raise_for_status()
        return str(answer.headers["x-subject-token"])

    def _configure(self) -> None:
        port = int(self.url.rpartition(":")[2])
        tables: dict[str, dict[str, Any]] = {"server": {"port": port}}
        if self._broker:
            token = self.state_dir / "bus-token"
            token.touch(mode=0o600)
            token.write_text(self._broker.token)
            tables["bus"] = {"url": self._broker.config.servers[0], "token_file": "bus-token"}
            tables["endpoints"] = dict.fromkeys(SERVICES, self.url)
        lines = []
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(v)}" for key, v in table.items())]
        (self.state_dir / "octostack.toml").write_text("\n".join(lines) + "\n")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
