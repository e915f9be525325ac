# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of the test's own, from the machine's packages, on a free port."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from octostack.base import ids

_SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "max_connections=200",
    "listen_addresses=127.0.0.1",
)


class Server:
    """``with Server() as server``: running inside the block, gone after it.

    Its directory is no test's: it belongs to another user, who could not enter pytest's.
    """

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="octostack-pg-")
        self._data = Path(self._directory.name, "data")
        self._bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self._user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port: int = s.getsockname()[1]

    def __enter__(self) -> "Server":
        directory = self._data.parent
        if self._user:
            shutil.chown(directory, "postgres", "postgres")
        self._run("initdb", "-D", self._data, "-U", "octostack", "--auth=trust", "-E", "UTF8")
        options = " ".join(f"-c {s}" for s in _SETTINGS)
        options += f" -p {self.port} -k {directory}"
        self._run("pg_ctl", "-D", self._data, "-l", directory / "log", "-o", options, "-w", "start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if (self._data / "postmaster.pid").exists():  # else it died before us
            self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")
        self._directory.cleanup()

    def create_database(self) -> str:
        """A new, empty database; returns its URL."""
        name = "t" + ids.new_hex()
        where = ("-h", "127.0.0.1", "-p", self.port, "-U", "octostack")
        self._run("createdb", *where, name)
        return f"postgresql://octostack@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *args: object) -> None:
        command = [str(self._bin / program), *map(str, args)]
        subprocess.run(
            command,
            check=True,
            capture_output=program != "pg_ctl",
            stdout=subprocess.DEVNULL if program == "pg_ctl" else None,
            cwd="/",
            **self._user,  # type: ignore[call-overload]
        )
