# SPDX-License-Identifier: Apache-2.0
"""A storage cluster of ours with several monitors, started by the real command, and asked by
Ceph's own programs."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from octostack.base import clock

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
NAMES = ["a", "b", "c"]
_SOURCES = Path(__file__).parents[2]
_PATIENCE_S = 60


class CephDir:
    """See the module's essay."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

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

    def ceph(self, *words: str, mon: str = "") -> bytes:
        """Ask all monitors, or one."""
        place = ("-m", self.address(mon)) if mon else ()
        done = subprocess.run(
            self.client("ceph", *place, *words, "--format", "json"),
            env=ENVIRONMENT,
            timeout=60,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def ask(self, *words: str, mon: str = "") -> Any:
        """The same, decoded."""
        return msgspec.json.decode(self.ceph(*words, mon=mon))

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

    def quorum(self) -> list[str]:
        """The names of those that agree."""
        found: list[str] = self.ask("quorum_status")["quorum_names"]
        return found

    def meet(self, names: list[str]) -> None:
        """Return when those are the quorum: who was late joins by another election."""
        end = clock.monotonic() + _PATIENCE_S
        while (found := self.quorum()) != names:
            assert clock.monotonic() < end, found

    def settle(self) -> None:
        """Return when all OSDs are up and all groups clean."""
        end = clock.monotonic() + _PATIENCE_S
        while True:
            status = self.ask("status")
            osds, groups = status["osdmap"], status["pgmap"]["pgs_by_state"]
            is_clean = all("active+clean" in group["state_name"] for group in groups)
            if is_clean and osds["num_up_osds"] == osds["num_osds"]:
                return
            assert clock.monotonic() < end, status
