# SPDX-License-Identifier: Apache-2.0
"""Where the bytes of images are: the interface that files, and later RBD, implement.

Bytes are written under a key that no row names yet, made durable, and then named by a row:

    writer = await blobs.create(key)     # held by this process until release
    await writer.write(chunk) ...
    await writer.finish()                # durable; to be seen under `key`
    ... the row that names the key is committed ...
    await writer.release()

Whatever happens in between, either a row names whole bytes or nobody does. A key that no row
names and that no living process holds is a leaving (`list_unheld`).
"""

from abc import ABC, abstractmethod
from pathlib import Path


class Writer(ABC):
    """Bytes on their way in."""

    @abstractmethod
    def write(self, chunk: bytes) -> None:
        """Append; blocks, so it is called in a thread. Raises Unavailable when there is no room."""

    @abstractmethod
    async def finish(self) -> None:
        """All is there: make it durable under its key."""

    @abstractmethod
    async def abandon(self) -> None:
        """Nothing of it is wanted; whatever was written goes."""

    @abstractmethod
    async def release(self) -> None:
        """This process does not hold the key any more."""


class Blobs(ABC):
    """A place for bytes by key."""

    name: str
    kind: str

    @abstractmethod
    async def create(self, key: str) -> Writer:
        """A writer for a new key."""

    @abstractmethod
    async def read(self, key: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; empty at the end. Raises NotFound."""

    @abstractmethod
    async def append(self, key: str, offset: int, chunk: bytes) -> int:
        """Write a chunk of bytes that arrive call by call; the size so far.

        `offset` must be the size so far; a chunk that is there already is passed over.
        Raises Conflict.
        """

    @abstractmethod
    async def adopt(self, key: str) -> Writer:
        """Take what `append` has written as if one writer had: `finish` it, or `abandon` it."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Forget the bytes, whole or half; none is no error."""

    @abstractmethod
    async def list_unheld(self, older_than_s: float) -> list[str]:
        """Keys that no process is writing and that nobody touched for that long."""

    @abstractmethod
    def is_held(self, key: str) -> bool:
        """Is some process writing these bytes?"""

    @abstractmethod
    def path(self, key: str) -> Path | None:
        """The file with the bytes, where there is one on this host."""
