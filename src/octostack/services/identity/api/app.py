# SPDX-License-Identifier: Apache-2.0
"""What every handler of Identity has at hand."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import msgspec

from octostack.base import clock
from octostack.base.errors import Busy
from octostack.runtime.db import Database, Tx
from octostack.services.identity.core import fernet, hashes
from octostack.services.identity.core.roles import Implications
from octostack.services.identity.core.rules import PasswordRules
from octostack.services.identity.model import JSON, Role, Token
from octostack.services.identity.store.keys import KeyRing

V = TypeVar("V")

HASHES_WAITING_MAX = 256  # about three seconds of work; who comes then is told to come again
HASH_THREADS = 2  # each needs `hashes.FULL.memory_kib`
TOKENS_KEPT_MAX = 4096
TOKEN_KEPT_S = 5.0  # how long another process's change may go unseen when its event is lost


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of Identity; `passwords` are the rules for people's passwords."""

    token_lifetime_s: float = 3600.0
    expired_window_s: float = 172_800.0  # how long services may still use an expired token
    region: str = "RegionOne"
    fernet_keys_max: int = 3
    passwords: PasswordRules = PasswordRules()
    bootstrap: bool = True


class Hasher:
    """Password hashes off the event loop, `HASH_THREADS` at a time, a bounded number waiting."""

    def __init__(self, *, waiting_max: int = HASHES_WAITING_MAX) -> None:
        self._threads = ThreadPoolExecutor(HASH_THREADS, "password-hash")
        self._waiting_max = waiting_max
        self._waiting = 0

    async def make(self, password: str, cost: hashes.Cost = hashes.FULL) -> str:
        """A new hash of `password`. Raises Busy."""
        salt = clock.token_bytes(hashes.SALT_BYTES)
        if cost is hashes.RANDOM_WORD:
            return hashes.make(password, salt, cost)
        return await self._run(hashes.make, password, salt, cost)

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Is `hashed` of `password`? None takes as long, and is False. Raises Busy."""
        fits = await self._run(hashes.verify, password, hashed or hashes.NOBODY)
        return fits and hashed is not None

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., V], *args: Any) -> V:
        if self._waiting >= self._waiting_max:
            raise Busy("Too many logins at once; try again later.", code="hash.busy")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)
        finally:
            self._waiting -= 1


class Roles(msgspec.Struct, frozen=True):
    """Every role by id, and what each implies."""

    by_id: Mapping[str, Role]
    implications: Implications


class Catalog(msgspec.Struct, frozen=True):
    """The catalog as it goes out, and by project the ids of endpoints chosen for it."""

    services: list[JSON]
    chosen: Mapping[str, frozenset[str]]


class Kept(Generic[V]):
    """The last `size` answers by key, each for `TOKEN_KEPT_S`.

    An answer read before a change must not be kept after it: take `generation` before reading and
    hand it to `keep`.
    """

    def __init__(self, size: int) -> None:
        self.generation = 0
        self._size = size
        self._values: OrderedDict[str, tuple[float, V]] = OrderedDict()

    def find(self, key: str) -> V | None:
        """The answer kept for `key`."""
        kept = self._values.get(key)
        return kept[1] if kept is not None and clock.monotonic() < kept[0] else None

    def keep(self, key: str, value: V, generation: int) -> V:
        """Remember `value`, unless something has changed since `generation`."""
        if generation == self.generation:
            self._values[key] = (clock.monotonic() + TOKEN_KEPT_S, value)
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value

    def clear(self) -> None:
        """Something has changed."""
        self.generation += 1
        self._values.clear()


def _nobody() -> None:
    """Nobody is told yet: the service is being built."""


class App:
    """The dependencies of the handlers."""

    def __init__(
        self, db: Database, config: Config, keys: KeyRing, credential_keys: KeyRing, public_url: str
    ) -> None:
        self.db = db
        self.config = config
        self.keys = keys
        self.credential_keys = credential_keys
        self.public_url = public_url
        self.on_change: Callable[[], None] = _nobody
        self.hasher = Hasher()
        self.tokens: Kept[Token] = Kept(TOKENS_KEPT_MAX)
        self.catalog: Kept[Catalog] = Kept(1)
        self.roles: Kept[Roles] = Kept(1)

    @property
    def base_url(self) -> str:
        """Where clients find version 3."""
        return f"{self.public_url}/identity/v3"

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """A transaction after which kept answers and tokens are looked at afresh."""
        async with self.db.write() as tx:
            tx.after_commit(self.forget)
            yield tx

    def forget(self) -> None:
        """Drop what is kept, here and in other processes."""
        self.drop()
        self.on_change()

    def drop(self) -> None:
        """Drop what is kept here: this process, or another, has changed something."""
        self.tokens.clear()
        self.catalog.clear()
        self.roles.clear()

    def seal(self, data: bytes) -> bytes:
        """`data` as it may lie in the database."""
        iv = clock.token_bytes(16)
        return fernet.seal(data, self.credential_keys.primary, now=clock.now(), iv=iv).encode()

    def unseal(self, sealed: bytes) -> bytes:
        """What `seal` was given. Raises Unauthorized when the keys are not those any more."""
        return fernet.open_sealed(sealed.decode(), self.credential_keys.keys)[0]
