# SPDX-License-Identifier: Apache-2.0
"""The switch's two processes, ovsdb-server and ovs-vswitchd, where the system runs none.

The userspace datapath has one device with a fixed name, so a network namespace can hold one
ovs-vswitchd: several clouds on one machine share it. It lies under /run, in a directory for the
namespace, and belongs to none of them: whoever comes first starts it, each has bridges of its own,
whoever goes last ends it. Nothing there needs to be kept, every agent puts its bridges and
flows back. The processes are detached, so that the network goes on when an agent ends, and are
found again by their pid files.
"""

import asyncio
import fcntl
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from octostack.base import clock, log
from octostack.base.errors import Timeout, Unavailable
from octostack.engines.sdn import command
from octostack.engines.sdn.core.layout import OWNER
from octostack.engines.sdn.devices import THIS_NETNS

_log = log.get("switch")

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
SYSTEM_RUN_DIR = Path("/var/run/openvswitch")
RUN_DIR = Path("/run/octostack")
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.02


class Paths(msgspec.Struct, frozen=True):
    """Where a switch has its database, sockets, pid files and logs."""

    run: Path

    @property
    def database_socket(self) -> Path:
        """Where ovsdb-server listens."""
        return self.run / "db.sock"

    def bridge_socket(self, bridge: str) -> Path:
        """Where ovs-vswitchd takes OpenFlow connections for a bridge."""
        return self.run / f"{bridge}.mgmt"


def paths() -> Paths:
    """The place of the switch of this network namespace, the system's own where that runs."""
    if (SYSTEM_RUN_DIR / "db.sock").exists() and _answers(SYSTEM_RUN_DIR / "db.sock"):
        return Paths(SYSTEM_RUN_DIR)
    namespace = THIS_NETNS.stat().st_ino
    return Paths(RUN_DIR / f"ovs-{namespace}")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


async def ensure(paths: Paths) -> bool:
    """Have both processes running; True when any had to be started. Raises Unavailable."""
    if paths.run == SYSTEM_RUN_DIR:
        return False
    if find_pid(paths, "ovsdb-server") and find_pid(paths, "ovs-vswitchd"):
        return False
    async with alone():
        _clear_away(paths)
        paths.run.mkdir(exist_ok=True, mode=0o700)
        started = False
        if find_pid(paths, "ovsdb-server") is None:
            await _start_database(paths)
            started = True
        if find_pid(paths, "ovs-vswitchd") is None:
            await _start_switch(paths)
            started = True
    return started


def _clear_away(paths: Paths) -> None:
    """Remove the places of switches that ended without a word, as their namespaces did."""
    for place in RUN_DIR.glob("ovs-*"):
        other = Paths(place)
        if (
            other != paths
            and not find_pid(other, "ovsdb-server")
            and not find_pid(other, "ovs-vswitchd")
        ):
            _empty(other)


def _empty(paths: Paths) -> None:
    for left in paths.run.glob("*"):
        left.unlink(missing_ok=True)
    for left in paths.run.glob(".*"):
        left.unlink(missing_ok=True)
    paths.run.rmdir()


@asynccontextmanager
async def alone() -> AsyncIterator[None]:
    """Hold the lock by which agents of several clouds take turns. Raises Timeout."""
    RUN_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (RUN_DIR / "lock").open("w") as file:
        deadline = clock.monotonic() + START_TIMEOUT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as e:
                if clock.monotonic() > deadline:
                    raise Timeout("another agent keeps the switch", code="switch.lock") from e
                await asyncio.sleep(POLL_S)
        yield


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


async def leave(paths: Paths, owner: str) -> None:
    """Remove the bridges of one owner; with the last bridge the processes end too."""
    control = ("ovs-vsctl", f"--db=unix:{paths.database_socket}", "--timeout=10")
    async with alone():
        alive = paths.run == SYSTEM_RUN_DIR or find_pid(paths, "ovs-vswitchd") is not None
        wait = () if alive else ("--no-wait",)
        if paths.run != SYSTEM_RUN_DIR and find_pid(paths, "ovsdb-server") is None:
            if not alive:
                return
            await _start_database(paths)
        found = f"external_ids:{OWNER}={owner}"
        listed = await run(paths, *control, "--bare", "--columns=name", "find", "bridge", found)
        for bridge in listed.split():
            await run(paths, *control, *wait, "--if-exists", "del-br", bridge)
        left = await run(paths, *control, "list-br")
        if not left.strip() and paths.run != SYSTEM_RUN_DIR:
            await _stop(paths)


async def _stop(paths: Paths) -> None:
    """End both processes, the switch first, and clear their place. Raises Timeout."""
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
    _empty(paths)


async def _start_database(paths: Paths) -> None:
    database = paths.run / "conf.db"
    if not SCHEMA.exists():
        raise Unavailable("Open vSwitch is not installed", code="switch.missing")
    # a switch that outlived its database would drop every bridge that a new one does not have
    if find_pid(paths, "ovs-vswitchd") is None or not database.exists():
        database.unlink(missing_ok=True)
        await run(paths, "ovsdb-tool", "create", str(database), str(SCHEMA))
    await run(
        paths,
        "ovsdb-server",
        str(database),
        f"--remote=punix:{paths.database_socket}",
        f"--unixctl={paths.run / 'ovsdb-server.ctl'}",
        *_daemon_options(paths, "ovsdb-server"),
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
        f"--log-file={paths.run / program}.log",
        "-vconsole:off",
        "-vfile:info",
        "--detach",
        "--no-chdir",
    ]


async def ask(paths: Paths, *words: str) -> str:
    """What ovs-vswitchd answers to a command of its control socket. Raises Unavailable."""
    own = f"--target={paths.run / 'ovs-vswitchd.ctl'}"
    target = "--target=ovs-vswitchd" if paths.run == SYSTEM_RUN_DIR else own
    return await run(paths, "ovs-appctl", target, *words)


async def run(paths: Paths, *words: str) -> str:
    """Run one of the switch's programs to its end; its output. Raises Unavailable, Timeout."""
    directories = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR")
    environment = {**dict.fromkeys(directories, str(paths.run)), "OVS_SYSCONFDIR": "/etc"}
    return await command.run(*words, environment=environment, timeout_s=START_TIMEOUT_S)
