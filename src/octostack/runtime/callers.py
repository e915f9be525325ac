# SPDX-License-Identifier: Apache-2.0
"""Tokens to callers, remembered for a few seconds: what makes a check of a token cost microseconds.

An answer is dropped when it is older than `TTL_S`, when its token expires, and at once when
Identity tells of a change (`forget`). Within the time that takes, a revoked token still works;
`TTL_S` bounds it also when the event is lost.
"""

import asyncio
from collections import OrderedDict
from typing import Protocol

from octostack.base import clock
from octostack.base.errors import OctoError, Unauthorized, Unavailable
from octostack.contracts.identity import Caller

TTL_S = 5.0
KEPT_MAX = 4096


class Source(Protocol):
    """The call of `contracts.identity.Identity` that is needed here."""

    async def authenticate(self, token: str) -> Caller: ...


class Callers:
    """The answers of one Identity, kept by one process."""

    def __init__(self, identity: Source, *, ttl_s: float = TTL_S) -> None:
        self._identity = identity
        self._ttl_s = ttl_s
        self._kept: OrderedDict[str, tuple[float, Caller]] = OrderedDict()
        self._asked: dict[str, asyncio.Future[Caller]] = {}

    async def get(self, token: str) -> Caller:
        """Who holds `token`. Raises Unauthorized."""
        kept = self._kept.get(token)
        if kept is not None and clock.monotonic() < kept[0]:
            if kept[1].expires_at <= clock.now():
                raise Unauthorized("The token has expired.")
            return kept[1]
        return await self._ask_once(token)

    def forget(self) -> None:
        """Drop every answer."""
        self._kept.clear()
        self._asked.clear()

    async def _ask_once(self, token: str) -> Caller:
        """Requests that come while the first is asking share its answer."""
        asked = self._asked.get(token)
        if asked is not None:
            return await asyncio.shield(asked)
        asked = asyncio.get_running_loop().create_future()
        self._asked[token] = asked
        try:
            caller = await self._identity.authenticate(token)
        except BaseException as e:
            # The others share a refusal; a cancelled request must not cancel theirs.
            failure = e if isinstance(e, OctoError) else Unavailable("The check was cut short.")
            asked.set_exception(failure)
            asked.exception()
            raise
        else:
            asked.set_result(caller)
            if self._asked.get(token) is asked:
                self._keep(token, caller)
            return caller
        finally:
            if self._asked.get(token) is asked:
                del self._asked[token]

    def _keep(self, token: str, caller: Caller) -> None:
        self._kept[token] = (clock.monotonic() + self._ttl_s, caller)
        self._kept.move_to_end(token)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
