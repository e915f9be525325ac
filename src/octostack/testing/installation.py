# SPDX-License-Identifier: Apache-2.0
"""An installation of its own, run by the `octostack` command as a user would run it."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2

START_TIMEOUT_S = 120


class Installation:
    """A state directory and the command on it; `down` in the end, whatever happened."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir

    def command(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``octostack ARGS --state-dir DIR``; what it printed is in the result."""
        return subprocess.run(
            [sys.executable, "-m", "octostack.apps.cli", *args, "--state-dir", str(self.state_dir)],
            check=check,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "NO_COLOR": "1"},
        )

    def up(self, *args: str) -> str:
        """Start it detached on a free port; returns what the command printed."""
        return self.command("up", "--detach", *args).stdout

    def status(self) -> dict[str, Any]:
        """What ``octostack status --json`` says."""
        answer: dict[str, Any] = json.loads(self.command("status", "--json", check=False).stdout)
        return answer

    def kill(self) -> None:
        """kill -9 the process, and wait until it is gone."""
        pid = self.status()["pid"]
        gone = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(gone, signal.SIGKILL)
            _wait(gone)
        finally:
            os.close(gone)

    def client(self, cloud: str = "octostack") -> httpx2.Client:
        """An HTTP client logged in as `cloud` of the clouds.yaml."""
        auth = self.clouds()[cloud]["auth"]
        scope: dict[str, Any] = {"system": {"all": True}}
        if "project_name" in auth:
            scope = {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}
        user = {"name": auth["username"], "domain": {"id": "default"}, "password": auth["password"]}
        identity = {"methods": ["password"], "password": {"user": user}}
        base = auth["auth_url"].removesuffix("/identity/v3")
        body = {"auth": {"identity": identity, "scope": scope}}
        answer = httpx2.post(f"{base}/identity/v3/auth/tokens", json=body, timeout=30)
        answer.raise_for_status()
        headers = {"x-auth-token": answer.headers["x-subject-token"]}
        return httpx2.Client(base_url=base, headers=headers, timeout=60)

    def clouds(self) -> dict[str, Any]:
        """The clouds of the clouds.yaml."""
        clouds: dict[str, Any] = json.loads((self.state_dir / "clouds.yaml").read_text())["clouds"]
        return clouds


def _wait(process: int) -> None:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    if not poll.poll(10_000):
        raise TimeoutError("the process outlived SIGKILL")
