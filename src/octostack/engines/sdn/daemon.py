# SPDX-License-Identifier: Apache-2.0
"""The switch's own two processes, ovsdb-server and ovs-vswitchd, under a directory of ours.

They are started detached, so that the network goes on when we end, and found again by their pid
files. Everything of one installation lies in one directory; several live side by side.
"""

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import msgspec

from octostack.base import clock, log
from octostack.base.errors import Timeout, Unavailable

_log = log.get("switch")

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
SYSTEM_RUN_DIR = Path("/var/run/openvswitch")
PATHS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
SOCKET_PATH_MAX = 80  # a unix socket's path has 107 bytes, and bridge sockets lie in here
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.02


class Paths(msgspec.Struct, frozen=True):
    """Where one switch keeps what: the database in `data`, sockets and pid files in `run`."""

    data: Path
    run: Path

    @property
    def database_socket(self) -> Path:
        """Where ovsdb-server listens."""
        return self.run / "db.sock"

    def bridge_socket(self, bridge: str) -> Path:
        """Where ovs-vswitchd takes OpenFlow connections for a bridge."""
        return self.run / f"{bridge}.mgmt"


def paths_of(state_dir: Path, host: str) -> Paths:
    """The places of a host's switch; sockets move to /run where the state directory is too deep."""
    data = state_dir.resolve() / "ovs" / host
    run = data
    if len(str(data)) > SOCKET_PATH_MAX:
        digest = hashlib.blake2b(str(data).encode(), digest_size=6).hexdigest()
        run = Path("/run") / f"octostack-{digest}"
    return Paths(data, run)


async def ensure(paths: Paths) -> bool:
    """Have both processes running; True when any had to be started. Raises Unavailable."""
    paths.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths.run.mkdir(parents=True, exist_ok=True, mode=0o700)
    started = False
    if find_pid(paths, "ovsdb-server") is None:
        await _start_database(paths)
        started = True
    if find_pid(paths, "ovs-vswitchd") is None:
        await _start_switch(paths)
        started = True
    return started


def find_pid(paths: Paths, program: str) -> int | None:
    """The process id of one of ours, if it runs."""
    try:
        pid = int((paths.run / f"{program}.pid").read_text().strip())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    # a pid may belong to somebody else by now
    named = Path(os.fsdecode(command[0])).name == program
    ours = any(os.fsdecode(word).endswith(str(paths.run / f"{program}.pid")) for word in command)
    return pid if named and ours else None


async def stop(paths: Paths) -> None:
    """End both processes, the switch first; none running is no error. Raises Timeout."""
    for program in ("ovs-vswitchd", "ovsdb-server"):
        pid = find_pid(paths, program)
        if pid is None:
            continue
        os.kill(pid, signal.SIGTERM)
        deadline = clock.monotonic() + STOP_TIMEOUT_S
        while find_pid(paths, program) is not None:
            if clock.monotonic() > deadline:
                raise Timeout(f"{program} does not end", code="switch.stop")
            await asyncio.sleep(POLL_S)


async def _start_database(paths: Paths) -> None:
    database = paths.data / "conf.db"
    if not SCHEMA.exists():
        raise Unavailable("Open vSwitch is not installed", code="switch.missing")
    if not database.exists():
        await run(paths, "ovsdb-tool", "create", str(database), str(SCHEMA))
    await run(
        paths,
        "ovsdb-server",
        str(database),
        f"--remote=punix:{paths.database_socket}",
        f"--unixctl={paths.run / 'ovsdb-server.ctl'}",
        *_daemon_options(paths, "ovsdb-server"),
    )
    await run(
        paths,
        "ovs-vsctl",
        f"--db=unix:{paths.database_socket}",
        "--no-wait",
        "--timeout=10",
        "init",
    )


async def _start_switch(paths: Paths) -> None:
    await run(
        paths,
        "ovs-vswitchd",
        f"unix:{paths.database_socket}",
        f"--unixctl={paths.run / 'ovs-vswitchd.ctl'}",
        *_daemon_options(paths, "ovs-vswitchd"),
    )


def _daemon_options(paths: Paths, program: str) -> list[str]:
    return [
        f"--pidfile={paths.run / program}.pid",
        f"--log-file={paths.data / program}.log",
        "-vconsole:off",
        "-vfile:info",
        "--detach",
        "--no-chdir",
    ]


async def run(paths: Paths, program: str, *arguments: str) -> str:
    """Run one of the switch's programs to its end; its output. Raises Unavailable, Timeout."""
    places = {"OVS_RUNDIR": str(paths.run), "OVS_LOGDIR": str(paths.data)}
    environment = {"PATH": PATHS, **places, "OVS_DBDIR": str(paths.data), "OVS_SYSCONFDIR": "/etc"}
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd="/",
        )
    except OSError as e:
        raise Unavailable(f"cannot run {program}: {e}", code="switch.missing") from e
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError as e:
        process.kill()
        raise Timeout(f"{program} does not end", code="switch.start") from e
    if process.returncode:
        said = output.decode("utf-8", "replace").strip()[-500:]
        raise Unavailable(f"{program} failed: {said}", code="switch.start")
    return output.decode("utf-8", "replace")
