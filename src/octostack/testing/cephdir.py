# SPDX-License-Identifier: Apache-2.0
"""A storage cluster of ours with several monitors, started by the real command, and asked by
Ceph's own programs.

Questions go to one process that runs the code of `ceph` for each (`ceph_session.py` of the tests):
a start of the program takes longer than most of what is waited for.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from octostack.base import clock

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
NAMES = ["a", "b", "c"]
_SOURCES = Path(__file__).parents[2]
_PATIENCE_S = 60


class Answer(msgspec.Struct, frozen=True):
    """What `ceph` gets: 0 or an errno, the line of status, the output."""

    result: int
    status: str
    output: str


class CephDir:
    """See the module's essay."""

    def __init__(self, directory: Path, session: Path) -> None:
        self.directory = directory
        self._session = session
        self._talk: subprocess.Popen[bytes] | None = None

    def down(self) -> None:
        """Stop all, for good."""
        if self._talk is not None:
            self._talk.communicate()
        self.octostack("down")

    def octostack(self, action: str, *words: str) -> None:
        """``octostack ceph ACTION DIR ...``."""
        subprocess.run(
            [sys.executable, "-m", "octostack.apps.cli", "ceph", action, self.directory, *words],
            env={**os.environ, "PYTHONPATH": str(_SOURCES)},
            timeout=80,
            check=True,
        )

    def client(self, program: str, *words: str) -> list[str]:
        """The command line of a program of Ceph's."""
        return [f"/usr/bin/{program}", "-c", f"{self.directory}/ceph.conf", *words]

    def answer(self, *words: str, mon: str = "") -> Answer:
        """Ask all monitors, or one."""
        if self._talk is None:
            self._talk = subprocess.Popen(
                ["/usr/bin/python3", self._session, f"{self.directory}/ceph.conf"],
                env=ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        assert self._talk.stdin is not None
        assert self._talk.stdout is not None
        asked = {"words": words, "mon": self.address(mon) if mon else ""}
        self._talk.stdin.write(msgspec.json.encode(asked) + b"\n")
        self._talk.stdin.flush()
        return msgspec.json.decode(self._talk.stdout.readline(), type=Answer)

    def ceph(self, *words: str, mon: str = "") -> str:
        """The output of a command that does what it is to do."""
        answer = self.answer(*words, mon=mon)
        assert answer.result == 0, (words, answer)
        return answer.output

    def ask(self, *words: str, mon: str = "") -> Any:
        """The same, decoded."""
        return msgspec.json.decode(self.ceph(*words, mon=mon))

    def until(self, look: Callable[[], Any], wanted: Any) -> None:
        """Return when that is what is seen."""
        end = clock.monotonic() + _PATIENCE_S
        while (found := look()) != wanted:
            assert clock.monotonic() < end, (found, wanted)

    def address(self, mon: str) -> str:
        """Where a monitor is."""
        settings = msgspec.json.decode((self.directory / "cluster.json").read_bytes())
        return f"v2:127.0.0.1:{settings['monitors'][mon]}"

    def kill(self, *mons: str) -> None:
        """Return when all are gone."""
        for mon in mons:
            self.kill_daemon(f"mon.{mon}")

    def kill_daemon(self, name: str) -> None:
        """Return when it is gone."""
        pid = int((self.directory / name / "pid").read_text())
        watched = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([watched], [], [], 30)
        os.close(watched)

    def runs(self, mon: str) -> bool:
        """Whether it has a process."""
        file = self.directory / f"mon.{mon}" / "pid"
        return file.exists() and Path(f"/proc/{file.read_text().strip()}").exists()

    def ends(self, mon: str) -> None:
        """Return when its process ends of itself."""
        pid = int((self.directory / f"mon.{mon}" / "pid").read_text())
        with contextlib.suppress(ProcessLookupError):
            watched = os.pidfd_open(pid)
            assert select.select([watched], [], [], _PATIENCE_S)[0], f"mon.{mon} still runs"
            os.close(watched)

    def quorum(self) -> list[str]:
        """The names of those that agree."""
        found: list[str] = self.ask("quorum_status")["quorum_names"]
        return found

    def meet(self, names: list[str]) -> None:
        """Return when those are the quorum: who was late joins by another election."""
        self.until(self.quorum, names)

    def settle(self) -> None:
        """Return when all OSDs are up and all groups clean."""

        def look() -> tuple[bool, int]:
            status = self.ask("status")
            osds, groups = status["osdmap"], status["pgmap"]["pgs_by_state"]
            is_clean = all("active+clean" in group["state_name"] for group in groups)
            return is_clean, osds["num_osds"] - osds["num_up_osds"]

        self.until(look, (True, 0))
