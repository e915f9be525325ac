# SPDX-License-Identifier: Apache-2.0
"""A process with the whole product imported; each cloud's process is forked from it.

A start costs a second of imports and a fifth of a second of work. ``python -m
octostack.testing.crash.forker`` reads an `Order` a line and answers with the pid of the process
that it made; that one says itself when it is ready, or why it is not.
"""

import ctypes
import gc
import importlib
import os
import pkgutil
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

import octostack
from octostack.apps import start
from octostack.base.errors import OctoError
from octostack.testing.crash import points

_PR_SET_PDEATHSIG = 1


class Child(msgspec.Struct, frozen=True):
    """A process to be: its parts, where it tells how it goes, and where it is to die."""

    options: start.Options
    log: str
    tell: str  # a named pipe
    armed: str  # a file of one byte: not 0 while points count
    passed: str  # a file: the points, a line each
    order: points.Order = points.Order()


def main() -> None:
    """Fork what the lines of standard input ask for, until it ends."""
    _import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps them
    gc.freeze()
    requests = sys.stdin.buffer
    while line := requests.readline():
        child = msgspec.json.decode(line, type=Child)
        pid = os.fork()
        if pid == 0:
            _become(child)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become(child: Child) -> None:
    """The forked process, to its end."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # none outlives the test
        null = os.open(os.devnull, os.O_RDONLY)
        log = os.open(child.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        tell = os.open(child.tell, os.O_WRONLY)
        _run(child, tell)
        code = 0
    finally:
        os._exit(code)


def _run(child: Child, tell: int) -> None:

    seen = points.Points(
        Path(child.options.state_dir), Path(child.armed), Path(child.passed), child.order
    )
    seen.install()

    def listener(line: dict[str, Any]) -> None:
        if "ready" in line:
            os.write(tell, b"ready\n")

    try:
        start.foreground(child.options, listener)
    except OctoError as error:
        os.write(tell, f"{error.message}\n".encode())


def _import_all() -> None:
    for module in pkgutil.walk_packages(octostack.__path__, "octostack."):
        if not module.name.startswith("octostack.testing") and "__main__" not in module.name:
            importlib.import_module(module.name)


if __name__ == "__main__":
    main()
