# SPDX-License-Identifier: Apache-2.0
"""The state directory: everything one installation has, and who is running it.

octostack.toml      the operator's settings
clouds.yaml openrc  how clients log in
db/ images/ ...     data of the parts
secrets/            made once, readable by the owner alone
log/                what the processes say
run/                locks, sockets and what was chosen at the last start
"""

import contextlib
import fcntl
import os
import select
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from octostack.base.errors import Conflict, Timeout

NAME_MAX = 40  # of a process's files below `run`


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What the last start chose; the next one keeps it unless told otherwise."""

    port: int = 0
    simulate: int = 0
    external: str = ""  # the first three octets of the external network's /24


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What a running cloud says of itself."""

    pid: int
    url: str
    simulated_hosts: int = 0
    facts: dict[str, str] = {}
    took_ms: dict[str, float] = {}


class StateDir:
    """One installation's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.run = self.path / "run"
        self.log_file = self.path / "log" / "octostack.log"
        self._lock_file = self.run / "lock"
        self._ready_file = self.run / "ready.json"
        self._remembered_file = self.run / "last.json"

    def control_socket(self, parts: Sequence[str] = (), name: str = "") -> Path:
        """Where the process `name` that runs `parts` (none: all of them) takes questions."""
        who = [*parts, name] if name else parts
        return self.run / f"{'-'.join(who)[:NAME_MAX] or 'all'}.sock"

    def control_sockets(self) -> list[Path]:
        """Where processes of this installation may take questions, the whole cloud's first."""
        return sorted(self.run.glob("*.sock"), key=lambda p: (p.stem != "all", p.stem))

    @staticmethod
    def default() -> Path:
        """$OCTOSTACK_STATE_DIR, /var/lib/octostack for root, else in the user's home."""
        chosen = os.environ.get("OCTOSTACK_STATE_DIR")
        if chosen:
            return Path(chosen)
        if os.geteuid() == 0:
            return Path("/var/lib/octostack")
        return Path.home() / ".local" / "share" / "octostack"

    def exists(self) -> bool:
        """Was an installation ever started here?"""
        return self._lock_file.exists()

    def create(self) -> None:
        """Make the directory, private to its owner except for passing through."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o711)
        for directory in (self.run, self.log_file.parent):
            directory.mkdir(exist_ok=True, mode=0o711)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be the process that runs this installation. Raises Conflict when another one does."""
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    f"{self.path} is in use by process {self.pid() or '?'}", code="state.held"
                ) from None
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            yield
        finally:
            self._ready_file.unlink(missing_ok=True)
            os.close(descriptor)

    @contextlib.contextmanager
    def claimed(self, who: str) -> Iterator[None]:
        """Be the process `who` of several. Raises Conflict when another one is."""
        with (self.run / f"{who[:NAME_MAX]}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    f"{who} runs already in {self.path}: give another one its own --name",
                    code="state.held",
                ) from None
            yield

    def pid(self) -> int | None:
        """The process that runs this installation, None if none does."""
        try:
            with self._lock_file.open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or 0) or None
        except FileNotFoundError:
            return None
        return None

    def terminate(self, timeout_s: float) -> bool:
        """End the running process and wait until it is gone; False if none ran. Raises Timeout."""
        pid = self.pid()
        if pid is None:
            return False
        gone = os.pidfd_open(pid)
        try:
            for number, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, 5.0)):
                if self.pid() == pid:
                    signal.pidfd_send_signal(gone, number)
                if _wait(gone, patience_s):
                    return True
        finally:
            os.close(gone)
        raise Timeout(f"Process {pid} does not end", code="state.stuck")

    def ready(self) -> Ready | None:
        """What the running cloud wrote when it was up, None before that."""
        try:
            return msgspec.json.decode(self._ready_file.read_bytes(), type=Ready)
        except FileNotFoundError:
            return None

    def set_ready(self, ready: Ready) -> None:
        """Say that the cloud is up."""
        _write(self._ready_file, msgspec.json.encode(ready))

    def remembered(self) -> Remembered:
        """What the last start chose."""
        try:
            return msgspec.json.decode(self._remembered_file.read_bytes(), type=Remembered)
        except FileNotFoundError:
            return Remembered()

    def remember(self, chosen: Remembered) -> None:
        """Keep it for the next start."""
        _write(self._remembered_file, msgspec.json.encode(chosen))


def _wait(process: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all; what is written here is made anew at each start."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(data)
    draft.replace(path)
