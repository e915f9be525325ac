# SPDX-License-Identifier: Apache-2.0
"""Time and randomness, behind one seam.

Everything in the package asks here, so that a simulation can install a virtual, seeded source
and replay hours of a cluster's life in seconds.
"""

import functools
import math
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


class Source:
    """Where time and randomness come from; this one is the real world."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def token_bytes(self, n: int) -> bytes:
        return os.urandom(n)

    def rng(self) -> random.Random:
        return _SYSTEM_RNG


_SYSTEM_RNG = random.SystemRandom()
_source = Source()


@contextmanager
def installed(source: Source) -> Iterator[Source]:
    """Answer every question from `source` until the block ends."""
    global _source  # noqa: PLW0603 - the one seam of the process
    before, _source = _source, source
    try:
        yield source
    finally:
        _source = before


def now() -> float:
    """Seconds since the epoch, UTC."""
    return _source.now()


def monotonic() -> float:
    """Seconds on a clock that never goes back."""
    return _source.monotonic()


def rng() -> random.Random:
    """The generator for choices; not for secrets in a simulation."""
    return _source.rng()


def token_bytes(n: int) -> bytes:
    """`n` bytes nobody can guess (in a simulation: from the seed)."""
    return _source.token_bytes(n)


def iso(t: float, *, micros: bool = False, suffix: str = "Z") -> str:
    """ISO 8601 in UTC: ``2026-01-31T12:00:00Z``; micros adds ``.000000``."""
    second = math.floor(t)
    if not micros:
        return _second(second) + suffix
    carry, micro = divmod(round((t - second) * 1e6), 1_000_000)
    return f"{_second(second + carry)}.{micro:06d}{suffix}"


@functools.lru_cache(maxsize=4096)
def _second(t: int) -> str:
    """What came in one list was often made within few seconds."""
    return datetime.fromtimestamp(t, UTC).replace(tzinfo=None).isoformat()


def local(t: float) -> time.struct_time:
    """The moment in this machine's zone."""
    return time.localtime(t)


def parse_iso(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time; no zone means UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
