# SPDX-License-Identifier: Apache-2.0
"""Answers about tokens: kept, shared, dropped."""

import asyncio

import pytest

from octostack.base import clock
from octostack.base.errors import Unauthorized, Unavailable
from octostack.contracts.identity import Caller
from octostack.runtime import callers
from octostack.runtime.callers import Callers

pytestmark = pytest.mark.anyio


class Time(clock.Source):
    """Stands still until it is told."""

    t = 1_000_000.0

    def now(self) -> float:
        return self.t

    def monotonic(self) -> float:
        return self.t


class Tokens:
    """An Identity of one user whose answers can be held back."""

    def __init__(self) -> None:
        self.asked = 0
        self.good = True
        self.held = asyncio.Event()
        self.held.set()

    async def authenticate(self, token: str) -> Caller:
        self.asked += 1
        good = self.good
        await self.held.wait()
        if not good:
            raise Unauthorized("no")
        return Caller(user_id=token, expires_at=Time.t + 100)


async def test_asks_once_until_the_answer_is_old() -> None:
    tokens, time = Tokens(), Time()
    known = Callers(tokens)
    with clock.installed(time):
        for _ in range(3):
            assert (await known.get("u")).user_id == "u"
        assert tokens.asked == 1
        time.t += callers.TTL_S
        await known.get("u")
        assert tokens.asked == 2


async def test_a_token_ends_even_while_it_is_kept() -> None:
    time = Time()
    known = Callers(Tokens(), ttl_s=1000)
    with clock.installed(time):
        await known.get("u")
        time.t += 200
        with pytest.raises(Unauthorized):
            await known.get("u")


async def test_requests_at_once_share_one_question() -> None:
    tokens = Tokens()
    tokens.held.clear()
    known = Callers(tokens)
    waiting = [asyncio.ensure_future(known.get("u")) for _ in range(10)]
    await asyncio.sleep(0)
    tokens.held.set()
    assert {caller.user_id for caller in await asyncio.gather(*waiting)} == {"u"}
    assert tokens.asked == 1


async def test_a_cancelled_request_does_not_cancel_the_others() -> None:
    tokens = Tokens()
    tokens.held.clear()
    known = Callers(tokens)
    first = asyncio.ensure_future(known.get("u"))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(known.get("u"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises((Unavailable, asyncio.CancelledError)):
        await first
    with pytest.raises(Unavailable):
        await second
    tokens.held.set()
    assert (await known.get("u")).user_id == "u"


async def test_an_answer_from_before_a_change_is_not_kept() -> None:
    tokens = Tokens()
    tokens.held.clear()
    known = Callers(tokens)
    asked = asyncio.ensure_future(known.get("u"))
    await asyncio.sleep(0)
    tokens.good = False
    known.forget()
    tokens.held.set()
    await asked
    with pytest.raises(Unauthorized):
        await known.get("u")


async def test_no_more_are_kept_than_the_bound() -> None:
    tokens = Tokens()
    known = Callers(tokens)
    for i in range(callers.KEPT_MAX + 1):
        await known.get(f"u{i}")
    await known.get("u0")
    assert tokens.asked == callers.KEPT_MAX + 2
