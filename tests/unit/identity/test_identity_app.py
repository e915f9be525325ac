# SPDX-License-Identifier: Apache-2.0
"""What handlers share: bounded hashing, kept answers."""

import asyncio

import pytest

from octostack.base.errors import Busy
from octostack.services.identity.api.app import Hasher, Kept
from octostack.services.identity.core import hashes

pytestmark = pytest.mark.anyio


async def test_hashes_wait_in_a_bounded_line() -> None:
    hasher = Hasher(waiting_max=2)
    cheap = hashes.make("word", bytes(16), hashes.Cost(64, 1))
    two = [asyncio.ensure_future(hasher.verify("word", cheap)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await hasher.verify("word", cheap)
    assert await asyncio.gather(*two) == [True, True]
    assert await hasher.verify("other", cheap) is False
    assert await hasher.verify("", None) is False
    hasher.close()


def test_an_answer_from_before_a_change_is_not_kept() -> None:
    kept: Kept[int] = Kept(2)
    before = kept.generation
    kept.clear()
    assert kept.keep("a", 1, before) == 1
    assert kept.find("a") is None
    for key, value in (("a", 1), ("b", 2), ("c", 3)):
        kept.keep(key, value, kept.generation)
    assert (kept.find("a"), kept.find("c")) == (None, 3)
