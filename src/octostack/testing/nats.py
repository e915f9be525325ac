# SPDX-License-Identifier: Apache-2.0
"""A NATS broker of the test's own, on a free port."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from octostack.base import ids
from octostack.base.errors import Unavailable
from octostack.runtime.bus.nats import NatsConfig


def program() -> str:
    """The server's path: beside this Python, or on the PATH. Raises Unavailable."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise Unavailable("nats-server is not installed.", code="test.nats")
    return found


class Broker:
    """``with Broker(directory) as broker``: running inside the block, gone after it."""

    def __init__(self, directory: Path, address: str = "127.0.0.1") -> None:
        self._config = directory / "nats.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self.token = ids.new_hex()
        self.address = address
        with socket.socket() as s:
            s.bind((address, 0))
            self.port: int = s.getsockname()[1]
        settings = {
            "listen": f"{address}:{self.port}",
            "authorization": {"token": self.token},
            "log_file": str(directory / "nats.log"),
        }
        self._config.write_text(json.dumps(settings))
        self._config.chmod(0o600)

    @property
    def config(self) -> NatsConfig:
        """What a client needs."""
        return NatsConfig(servers=(f"nats://{self.address}:{self.port}",), token=self.token)

    def start(self) -> None:
        """Run the server, on the same port each time; a client waits until it listens."""
        self._process = subprocess.Popen([program(), "-c", str(self._config)])

    def kill(self) -> None:
        """As a crash: no farewell."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
