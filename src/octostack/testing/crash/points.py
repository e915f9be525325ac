# SPDX-License-Identifier: Apache-2.0
"""Inside the victim: the points it passes, and death at one of them."""

import mmap
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.runtime import saga
from octostack.runtime.bus.server import Server
from octostack.runtime.db import Tx
from octostack.wire import bus as wire

ANY = "*"

_WROTE = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM) \"?(\w+)")
_VERBS = {"INSERT INTO": "insert", "UPDATE": "update", "DELETE FROM": "delete"}
_OWN_NAME = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|(?<=[-.])[0-9a-z]{6,}$")
_FILE_EVENTS = {"os.rename": "rename", "os.remove": "remove", "os.truncate": "truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR


class Order(msgspec.Struct, frozen=True):
    """Die at the `count`-th time that `point` is passed; ``*`` is any point."""

    point: str = ""
    count: int = 1


class Points:
    """Counts what is passed while the byte that test and victim share is set."""

    def __init__(self, state_dir: Path, armed: Path, passed: Path, order: Order) -> None:
        with armed.open("r+b") as file:
            self._armed = mmap.mmap(file.fileno(), 1)
        self._passed = os.open(passed, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._order = order
        self._state_dir = f"{state_dir}/"
        self._counts: Counter[str] = Counter()
        self._committed = ""

    def install(self) -> None:
        """From here on every point of this process is seen."""
        sa.event.listen(sa.pool.Pool, "connect", self._trace)
        sys.addaudithook(self._audit)
        self._wrap_commit()
        self._wrap_answers()

    def at(self, point: str) -> None:
        """The process is at `point`: it may be its last."""
        if self._armed[0] == 0:
            return
        self._counts[point] += 1
        self._counts[ANY] += 1
        os.write(self._passed, point.encode() + b"\n")
        wanted = self._order.point
        if wanted in (point, ANY) and self._counts[wanted] == self._order.count:
            os.kill(os.getpid(), signal.SIGKILL)

    def _trace(self, connection: Any, _record: Any) -> None:
        """SQLite tells of each statement before it runs."""
        found = connection.execute("PRAGMA database_list").fetchone()
        database = Path(found[2]).stem
        wrote: dict[str, None] = {}

        def see(sql: str) -> None:
            if sql.startswith("BEGIN"):
                wrote.clear()
            elif sql == "COMMIT" and wrote:
                self._committed = f"commit {database} ({', '.join(wrote)}){_saga()}"
                self.at(f"before {self._committed}")
            else:
                match = _WROTE.match(sql)
                if match:
                    wrote[f"{_VERBS[match[1]]} {match[2]}"] = None

        connection.set_trace_callback(see)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Python tells of each call that changes a file, before it is made."""
        if event in _FILE_EVENTS:
            paths = [str(arg) for arg in args if isinstance(arg, str | Path)]
            names = [self._name(path) for path in paths if path.startswith(self._state_dir)]
            if names:
                self.at(f"{_FILE_EVENTS[event]} {' '.join(names)}")
        elif event == "open" and isinstance(args[2], int) and args[2] & _WRITING:
            path = str(args[0])
            if path.startswith(self._state_dir):
                self.at(f"open {self._name(path)}")

    def _name(self, path: str) -> str:
        """A path without what differs from run to run."""
        parts = path.removeprefix(self._state_dir).split("/")
        return "/".join(_OWN_NAME.sub("ID", part) for part in parts)

    def _wrap_commit(self) -> None:
        committed = Tx.committed

        def see(tx: Tx) -> None:
            if self._committed:
                point, self._committed = self._committed, ""
                self.at(f"after {point}")
            committed(tx)

        Tx.committed = see  # type: ignore[method-assign, assignment]

    def _wrap_answers(self) -> None:
        handle = Server.handle

        async def see(server: Server, request: bytes) -> bytes:
            call = wire.decode_call(request)
            name = f"{call.contract}.{call.method}"
            self.at(f"call {name}{_saga()}")
            answer = await handle(server, request)
            self.at(f"answer {name}{_saga()}")
            return answer

        Server.handle = see  # type: ignore[method-assign, assignment]


def _saga() -> str:
    """The step in whose task this happens."""
    run = saga.current.get()
    if run is None:
        return ""
    return f" in {run.saga}{' undo' if run.status == 'undoing' else ''}/{run.step}"
