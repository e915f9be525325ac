# SPDX-License-Identifier: Apache-2.0
"""The cloud as processes: each part on its own, on a real broker, started and killed by a test."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import msgspec

from octostack.apps.start import Options
from octostack.runtime.secrets import Secrets
from octostack.testing.nats import Broker

SERVICES = ("identity", "placement", "image", "network", "compute")
PARTS = (*SERVICES, "hosts", "front")
START_TIMEOUT_S = 240.0  # five interpreters at once on a small, busy machine


class Process:
    """One process of the cloud; `ready` waits for its word. `within` is put before its command."""

    def __init__(
        self, part: str, options: Options, log: Path, within: tuple[str, ...] = ()
    ) -> None:
        self.part = part
        self.log = log
        reading, writing = os.pipe()
        with log.open("ab") as file:
            self._popen = subprocess.Popen(
                [*within, sys.executable, "-m", "octostack.apps.start", str(writing),
                 msgspec.json.encode(options).decode()],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=(writing,),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )  # fmt: skip
        os.close(writing)
        self._lines = os.fdopen(reading, "rb", buffering=0)

    def ready(self) -> None:
        """Wait until the process serves. Raises AssertionError with its log when it does not."""
        buffer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._lines, selectors.EVENT_READ)
            while b'"ready"' not in buffer:
                assert selector.select(START_TIMEOUT_S), f"{self.part} is not up: {self.tail()}"
                more = self._lines.read(65536)
                assert more, f"{self.part} died: {self.tail()}"
                buffer += more

    def kill(self) -> None:
        """SIGKILL: nothing is said or saved."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for who does not listen."""
        self._end(signal.SIGTERM)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]

    def rss_bytes(self) -> int:
        """The memory it holds now."""
        pages = int(Path(f"/proc/{self._popen.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def rss_peak_bytes(self) -> int:
        """The most memory that it ever held."""
        status = Path(f"/proc/{self._popen.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) << 10

    def _end(self, number: int) -> None:
        self._popen.send_signal(number)
        try:
            self._popen.wait(30)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._lines.close()


class SplitCloud:
    """``with SplitCloud(directory) as cloud``: every part is up inside the block.

    The parts `twice` have a second process, called ``PART-2``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        simulate: int = 2,
        database_url: str = "",
        twice: tuple[str, ...] = (),
    ) -> None:
        self.directory = directory
        self.state_dir = directory / "s"
        self.state_dir.mkdir(mode=0o700)
        self.broker = Broker(directory)
        self.processes: dict[str, Process] = {}
        self._simulate = simulate
        seconds = tuple(f"{part}-2" for part in twice)
        self._order = (*PARTS, *seconds)
        listening = (*SERVICES, *seconds, "front")
        self.ports = dict(zip(listening, _free_ports(len(listening)), strict=True))
        self.front = self.url("front")
        self._configure(database_url)

    def start(self, process: str) -> Process:
        """Start one process; `Process.ready` waits for it."""
        part, _, number = process.partition("-")
        options = Options(
            state_dir=str(self.state_dir),
            parts=(part,),
            simulate=self._simulate,
            port=self.ports[process] if number else None,
            name=number,
        )
        log = self.directory / f"{process}.log"
        started = self.processes[process] = Process(process, options, log)
        return started

    def restart(self, part: str) -> None:
        """Kill one part and start it again at once."""
        self.processes.pop(part).kill()
        self.start(part)

    def url(self, part: str) -> str:
        """Where the part listens, without its prefix; clients know `front` only."""
        return f"http://127.0.0.1:{self.ports[part]}"

    def login(self, user: str = "admin", project: str = "admin") -> str:
        """A token by password."""
        password = Secrets(self.state_dir / "secrets").text(f"{user}-password")
        domain = {"id": "default"}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": domain, "password": password}},
        }
        auth = {"identity": identity, "scope": {"project": {"name": project, "domain": domain}}}
        url = f"{self.front}/identity/v3/auth/tokens"
        answer = httpx2.post(url, json={"auth": auth}, timeout=60)
        answer.raise_for_status()
        return str(answer.headers["x-subject-token"])

    def client(self, token: str) -> httpx2.Client:
        """A client of the whole cloud."""
        headers = {"x-auth-token": token}
        return httpx2.Client(base_url=self.front, headers=headers, timeout=60)

    def wait(self, part: str, timeout_s: float = START_TIMEOUT_S) -> None:
        """Until the part says it is well."""
        until = time.monotonic() + timeout_s  # noqa: TID251 - of other processes
        while time.monotonic() < until:  # noqa: TID251
            try:
                if httpx2.get(f"{self.url(part)}/healthz", timeout=5).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{part} is not well: {self.processes[part].tail()}")

    def __enter__(self) -> "SplitCloud":
        self.broker.start()
        try:
            for process in self._order:
                self.start(process)
            for process in self._order:
                self.processes[process].ready()
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
        for process in reversed(self.processes.values()):
            process.kill()
        self.broker.kill()

    def _endpoints(self, part: str) -> str:
        return ",".join(self.url(p) for p in (part, f"{part}-2") if p in self.ports)

    def _configure(self, database_url: str) -> None:
        token = self.state_dir / "bus-token"
        token.touch(mode=0o600)
        token.write_text(self.broker.token)
        tables: dict[str, dict[str, Any]] = {
            "bus": {"url": self.broker.config.servers[0], "token_file": "bus-token"},
            "database": {"url": database_url},
            "endpoints": {part: self._endpoints(part) for part in (*SERVICES, "front")},
        }
        lines = []
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(v)}" for key, v in table.items())]
        (self.state_dir / "octostack.toml").write_text("\n".join(lines) + "\n")


def _free_ports(count: int) -> list[int]:
    """Ports that are free now: parts tell each other's through the configuration."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
