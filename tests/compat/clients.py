# SPDX-License-Identifier: Apache-2.0
"""A cloud started by the real command, and unmodified clients of others in one long-lived process.

Starting the `openstack` command costs 1.5 s, nearly all of it imports. `client_process.py` runs in
the clients' environment, imports once, and calls the client's own `main` for each command line.
"""

import json
import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CLIENTS_PYTHON = ROOT / ".venv-clients" / "bin" / "python"
START_TIMEOUT_S = 120
COMMAND_TIMEOUT_S = 60


class CommandFailed(AssertionError):
    """The client said no; `text` is what it printed."""

    def __init__(self, command: str, code: int, text: str) -> None:
        super().__init__(f"openstack {command}\nexit code {code}\n{text}")
        self.code = code
        self.text = text


class Cloud:
    """One running cloud with simulated hosts and its own state directory."""

    def __init__(self, state_dir: Path, hosts: int = 3) -> None:
        self.state_dir = state_dir
        self.config = state_dir / "clouds.yaml"
        self._hosts = hosts

    def octostack(self, *arguments: str) -> str:
        """Run our own command on this cloud's state directory and return what it printed."""
        command = Path(sys.executable).with_name("octostack")
        start = (
            [str(command)]
            if command.exists()
            else [sys.executable, "-c", "from octostack.apps.cli import main; main()"]
        )
        done = subprocess.run(
            [*start, *arguments, "--state-dir", str(self.state_dir)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"octostack {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def up(self) -> None:
        """Start it and return when all of it is ready."""
        self.octostack("up", "--detach", "--simulate", str(self._hosts), "--port", "0")

    def down(self) -> None:
        """Stop it; its state stays."""
        self.octostack("down")


class Clients:
    """The process in the clients' environment; one for all tests of a worker."""

    def __init__(self, cloud: Cloud) -> None:
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        self._environment["OS_CLIENT_CONFIG_FILE"] = str(cloud.config)
        self._environment["NO_PROXY"] = self._environment["no_proxy"] = "*"
        self._process: subprocess.Popen[str] | None = None

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request to the process and its answer; it is ended when it takes too long."""
        process = self._process or self._start()
        assert process.stdin and process.stdout
        patience = threading.Timer(COMMAND_TIMEOUT_S, process.kill)
        patience.start()
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        patience.cancel()
        if not answer:
            self.close()
            raise AssertionError(f"no answer within {COMMAND_TIMEOUT_S} s: {request}")
        return dict(json.loads(answer))

    def close(self) -> None:
        """End the process; the next request starts another."""
        process, self._process = self._process, None
        if process:
            assert process.stdin and process.stdout
            process.stdin.close()
            process.wait(timeout=30)
            process.stdout.close()

    def _start(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            [str(CLIENTS_PYTHON), str(Path(__file__).with_name("client_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
            text=True,
        )
        return self._process


class OpenStack:
    """`openstack("server list")` runs that command line; what it prints as JSON is returned."""

    def __init__(self, clients: Clients, cloud: str = "octostack") -> None:
        self._clients = clients
        self._cloud = cloud

    def text(self, command: str, cloud: str | None = None) -> str:
        """Run a command which prints no table; with cloud="" it has its login in its options.

        Raises CommandFailed.
        """
        name = self._cloud if cloud is None else cloud
        argv = [*(["--os-cloud", name] if name else []), *shlex.split(command)]
        answer = self._clients.ask(kind="openstack", argv=argv)
        if answer["code"]:
            raise CommandFailed(command, answer["code"], answer["out"] + answer["err"])
        return str(answer["out"])

    def __call__(self, command: str, cloud: str | None = None) -> Any:
        """Run a command which prints a table, and return it decoded. Raises CommandFailed."""
        return json.loads(self.text(f"{command} -f json", cloud))

    def fails(self, command: str, cloud: str | None = None) -> str:
        """Run a command which must be refused, and return what the client said."""
        try:
            printed = self.text(command, cloud)
        except CommandFailed as refused:
            return refused.text
        raise AssertionError(f"openstack {command} should have failed, but printed: {printed}")
