# SPDX-License-Identifier: Apache-2.0
"""Where a monitor keeps its state: keys and values, changed a transaction at a time.

`DiskStore` is one log of transactions, each durable before `commit` returns, all values being in
memory; the log is written anew when most of it is out of date. `MemoryStore` forgets.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from octostack.base.errors import Corrupt
from octostack.runtime.disk import Disk, Log

Puts = Mapping[str, bytes | None]  # None removes the key

_REWRITE_FACTOR = 4
_REWRITE_BYTES_MIN = 4 << 20
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, bytes | None])


class MonStore(Protocol):
    """What a monitor needs of its store."""

    values: dict[str, bytes]

    def stage(self, puts: Puts) -> None:
        """Change all keys at once; durable with the next `commit`."""

    async def commit(self, puts: Puts) -> None:
        """Change all keys at once; durable on return."""


class MemoryStore:
    """Forgets when the process ends."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def stage(self, puts: Puts) -> None:
        """Change all keys at once."""
        _apply(self.values, puts)

    async def commit(self, puts: Puts) -> None:
        """Change all keys at once."""
        _apply(self.values, puts)


class DiskStore:
    """See the module's essay; made by `open_store`."""

    def __init__(self, log: Log) -> None:
        self.values: dict[str, bytes] = {}
        self._log = log
        self._staged: dict[str, bytes | None] = {}
        self._size = 0
        for record in log.records:
            self._size += len(record)
            try:
                _apply(self.values, _decoder.decode(record))
            except msgspec.MsgspecError as error:
                raise Corrupt("The monitor's log is damaged.", code="ceph.mon_store") from error
        log.records = []

    def stage(self, puts: Puts) -> None:
        """Change all keys at once; durable with the next `commit`."""
        self._staged.update(puts)
        _apply(self.values, puts)

    async def commit(self, puts: Puts) -> None:
        """Change all keys at once; durable on return."""
        record = _encoder.encode({**self._staged, **puts})
        self._staged = {}
        await self._log.append(record)
        _apply(self.values, puts)
        self._size += len(record)
        live = sum(map(len, self.values.values()))
        if self._size > max(_REWRITE_BYTES_MIN, _REWRITE_FACTOR * live):
            whole = _encoder.encode(self.values)
            await self._log.rewrite([whole])
            self._size = len(whole)


async def open_store(disk: Disk, path: Path) -> DiskStore:
    """The store at `path`, with all that was committed. Raises Corrupt."""
    return DiskStore(await disk.open_log(path))


def _apply(values: dict[str, bytes], puts: Puts) -> None:
    for key, value in puts.items():
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
