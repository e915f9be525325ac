# SPDX-License-Identifier: Apache-2.0
"""Starting a process of the cloud: in this terminal, or detached from it."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from octostack.apps import config
from octostack.apps.state import Ready, StateDir
from octostack.base import log
from octostack.base.errors import Conflict, Invalid, OctoError, Unavailable

LOG_TAIL_LINES = 15

Line = dict[str, Any]  # what a starting process reports: {"up": name, "ms": ...} | {"ready": ...}
Listener = Callable[[Line], None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `octostack up` and `octostack run` were asked for, and when (monotonic)."""

    state_dir: str
    parts: tuple[str, ...] = ()
    port: int | None = None
    simulate: int | None = None
    name: str = ""
    began: float = 0.0


def foreground(options: Options, listener: Listener) -> None:
    """Run the process here until it is told to stop. Raises what stopped its start."""
    import uvloop  # noqa: PLC0415 - who starts a process detached needs none of this

    state = _prepared(options)

    def announce(ready: Ready) -> None:
        listener({"ready": msgspec.to_builtins(ready)})

    if "front" in options.parts:
        from octostack.apps import front  # noqa: PLC0415

        if len(options.parts) > 1:
            raise Invalid("The front is a process of its own", code="process.front")
        uvloop.run(front.run(state, options.port, announce))
        return
    # What is loaded and built until all is ready stays: to look for garbage in it took a third of
    # the start.
    gc.disable()
    from octostack.apps.process import Process  # noqa: PLC0415

    process = Process(state, options, report=lambda name, ms: listener({"up": name, "ms": ms}))
    if options.parts:
        with state.claimed("-".join((*options.parts, process.name))):
            uvloop.run(process.run(announce))
        return
    with state.held():
        uvloop.run(process.run(announce))


def detached(options: Options, listener: Listener) -> Ready:
    """Start the process in a session of its own; return once it is ready.

    Raises Conflict when the state directory is in use, Unavailable with the log's end when the
    process died before it was ready.
    """
    state = _prepared(options)
    running = state.pid()
    if running:
        raise Conflict(f"{state.path} is in use by process {running}", code="state.held")
    reading, writing = os.pipe()
    with state.log_file.open("ab") as log_file:
        subprocess.Popen(
            [sys.executable, "-m", "octostack.apps.start", str(writing),
             msgspec.json.encode(options).decode()],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            pass_fds=(writing,),
            start_new_session=True,
            cwd="/",
        )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading, "rb") as lines:
        for raw in lines:
            line = msgspec.json.decode(raw)
            if "error" in line:
                raise OctoError(line["error"], code=line["code"])
            listener(line)
            if "ready" in line:
                return msgspec.convert(line["ready"], Ready)
    tail = state.log_file.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    raise Unavailable("The cloud did not start. The log ends so:\n" + "\n".join(tail))


def _prepared(options: Options) -> StateDir:
    """The state directory, made when it is not there, with a file of settings to begin from."""
    state = StateDir(Path(options.state_dir))
    state.create()
    settings = state.path / config.FILE
    if not settings.exists():
        settings.write_text(config.TEMPLATE)
    return state


def _child() -> None:
    """The detached process: reports by the inherited pipe until it is ready."""
    import asyncio  # noqa: PLC0415 - not for the command that only asks for this process

    pipe = os.fdopen(int(sys.argv[1]), "wb", buffering=0)
    options = msgspec.json.decode(sys.argv[2], type=Options)

    def tell(line: Line) -> None:
        if pipe.closed:
            return
        try:
            pipe.write(msgspec.json.encode(line) + b"\n")
        except BrokenPipeError:  # whoever asked is gone; the cloud starts all the same
            pipe.close()
            return
        if "ready" in line:
            pipe.close()

    try:
        foreground(options, tell)
    except OctoError as e:
        log.get("process").error("start failed", error=e.message, code=e.code)
        tell({"error": e.message, "code": e.code})
        sys.exit(1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


if __name__ == "__main__":
    _child()
