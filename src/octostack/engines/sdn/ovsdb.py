# SPDX-License-Identifier: Apache-2.0
"""A client of the switch's database: a copy of some tables kept current, and transactions."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from octostack.base import log
from octostack.base.errors import Conflict, Invalid, Timeout, Unavailable
from octostack.engines.sdn.core import layout
from octostack.runtime.tasks import Supervisor
from octostack.wire import ovsdb

_log = log.get("ovsdb")

REPLY_TIMEOUT_S = 30.0
READ_BYTES = 1 << 18
DATABASE = "Open_vSwitch"


class Database:
    """The connection to one ovsdb-server; made by `connect`, dead once lost.

    `tables` is the present content of the columns in `core.layout.COLUMNS`.
    """

    def __init__(self, writer: asyncio.StreamWriter, changed: Callable[[], None]) -> None:
        self.tables: layout.Tables = {}
        self.lost = False
        self._writer = writer
        self._changed = changed
        self._updated = asyncio.Event()
        self._next_id = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    @classmethod
    async def connect(
        cls, path: Path, tasks: Supervisor, changed: Callable[[], None]
    ) -> "Database":
        """Connect and read the tables; `changed` is called at each change. Raises Unavailable."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(path))
        except OSError as e:
            raise Unavailable(f"no switch database: {e}", code="ovsdb.connect") from e
        client = cls(writer, changed)
        tasks.start(f"ovsdb {path.name}", lambda: client._read(reader))
        requests = {table: [{"columns": columns}] for table, columns in layout.COLUMNS.items()}
        first = await client.call("monitor", [DATABASE, "all", requests])
        ovsdb.apply_update(client.tables, first)
        return client

    def close(self) -> None:
        """Leave."""
        self._writer.close()

    async def call(self, method: str, params: list[Any]) -> Any:
        """A request's result. Raises Conflict (the server's error), Timeout, Unavailable."""
        if self.lost:
            raise Unavailable("the switch database is gone", code="ovsdb.lost")
        self._next_id += 1
        number = self._next_id
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(ovsdb.request(method, params, number))
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                return await future
        except TimeoutError as e:
            raise Timeout("the switch database does not answer", code="ovsdb.silent") from e
        finally:
            self._waiting.pop(number, None)

    async def transact(self, operations: list[dict[str, Any]]) -> list[Any]:
        """All operations or none. Raises Conflict naming the first that failed."""
        results: list[Any] = await self.call("transact", [DATABASE, *operations])
        for result in results:
            if result and result.get("error"):
                details = result.get("details", "")
                raise Conflict(f"{result['error']}: {details}", code="ovsdb.transaction")
        return results

    async def until(self, met: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition on `tables`; False when it is not met in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not met():
                    if self.lost:
                        return False
                    self._updated.clear()
                    await self._updated.wait()
        except TimeoutError:
            return met()
        return True

    async def _read(self, reader: asyncio.StreamReader) -> None:
        splitter = ovsdb.Splitter()
        try:
            while data := await reader.read(READ_BYTES):
                for text in splitter.feed(data):
                    self._take(ovsdb.decode(text))
        except (OSError, Invalid) as e:
            _log.warning("switch database connection broken", error=str(e))
        finally:
            self.lost = True
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(Unavailable("the switch database is gone"))
            self._updated.set()
            self._changed()

    def _take(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method == "echo":
            self._writer.write(ovsdb.reply(message.get("params"), message.get("id")))
        elif method == "update":
            ovsdb.apply_update(self.tables, message["params"][1])
            self._updated.set()
            self._changed()
        elif method is None:
            self._settle(message)

    def _settle(self, message: dict[str, Any]) -> None:
        future = self._waiting.get(message.get("id", 0))
        if future is None or future.done():
            return
        if message.get("error"):
            future.set_exception(Conflict(f"OVSDB: {message['error']}", code="ovsdb.error"))
        else:
            future.set_result(message.get("result"))
