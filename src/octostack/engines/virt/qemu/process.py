# SPDX-License-Identifier: Apache-2.0
"""QEMU processes: start one that outlives us, and know one that is ours."""

import os
import signal
import subprocess
from pathlib import Path

import msgspec

from octostack.base.errors import Unavailable

# No core dumps (they hold a guest's memory), and a bound on open files. Set by the process on
# itself: where root lacks CAP_SYS_RESOURCE it may not limit a process of another user.
_LIMITS = ("prlimit", "--core=0", "--nofile=1024")


class Process(msgspec.Struct, frozen=True):
    """A process that cannot be mistaken for another: a pid is used again, its start is not."""

    pid: int
    start_ticks: int

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return find(self.pid) == self


def find(pid: int) -> Process | None:
    """The process of that number, unless it is gone or only waits to be buried."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in brackets, and may hold anything.
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else Process(pid, int(fields[19]))


def list_in(directory: Path) -> dict[Path, Process]:
    """Every QEMU that works in a directory below `directory`, by that directory."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            where = (entry / "cwd").readlink()
            if where.parent != directory:
                continue
            program = (entry / "cmdline").read_bytes().split(b"\0")[0]
        except OSError:
            continue
        process = find(int(entry.name))
        if process is not None and b"qemu" in program.rsplit(b"/", 1)[-1]:
            found[where] = process
    return found


def launch(argv: list[str], directory: Path, fds: tuple[int, ...], user: int | None) -> Process:
    """Start QEMU in `directory`, as that user id, in a session of its own.

    Raises Unavailable with QEMU's words when it does not come up. Returns once its own
    checks are through, so its sockets listen.
    """
    log = os.open(directory / "qemu.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        child = subprocess.Popen(
            [*_LIMITS, *argv],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=fds,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else _groups(),
            umask=0o077,
            env={"PATH": "/usr/bin:/bin", "LANG": "C"},
        )
    except OSError as e:
        raise Unavailable(f"{argv[0]}: {e.strerror}", code="qemu.start") from e
    finally:
        os.close(log)
    process = find(child.pid)
    _children[child.pid] = child
    if process is None:
        raise Unavailable(f"QEMU did not start: {last_words(directory)}", code="qemu.start")
    return process


def kill(process: Process) -> None:
    """End it at once, if it is still that one."""
    if process.alive:
        os.kill(process.pid, signal.SIGKILL)


def bury() -> None:
    """Reap children that have ended; those of an earlier agent are init's."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]


def last_words(directory: Path) -> str:
    """What QEMU said last, for a fault message."""
    try:
        lines = (directory / "qemu.log").read_text(errors="replace").strip().splitlines()
    except OSError:
        return "no log"
    return lines[-1][-300:] if lines else "it said nothing"


# Popen objects of this agent's own starts, kept so that the dead are buried and Python does not
# warn that they were forgotten.
_children: dict[int, "subprocess.Popen[bytes]"] = {}


def _groups() -> list[int]:
    """The group that may use KVM, where there is one."""
    try:
        return [Path("/dev/kvm").stat().st_gid]
    except OSError:
        return []
