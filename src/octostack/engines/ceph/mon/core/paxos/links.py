# SPDX-License-Identifier: Apache-2.0
"""With which monitors words go both ways.

Each says again and again whom it hears. A link is one while we hear the other and the other says
that it hears us: what goes one way only is as good as none, since nobody can follow or lead there.
"""

_NEVER = float("-inf")


class Links:
    """As one monitor knows them. `longest_s` without a word, and a link is none any more."""

    def __init__(self, others: set[int], longest_s: float, now: float) -> None:
        self._others = others
        self._longest_s = longest_s
        self._heard = dict.fromkeys(others, _NEVER)
        self._hears_us = dict.fromkeys(others, _NEVER)
        self._doubt = set(others)  # nothing is known of them yet
        self._doubt_ends = now + longest_s

    def hear(self, now: float, source: int) -> None:
        """A word came."""
        self._heard[source] = now

    def hears_us(self, now: float, source: int, *, does: bool) -> bool:
        """It said whether it hears us; whether the link is one that was none."""
        before = self.is_open(now, source)
        self._hears_us[source] = now if does else _NEVER
        if does:
            self._doubt.discard(source)
        return not before and self.is_open(now, source)

    def lose(self, ranks: set[int]) -> None:
        """Those make no connections: they have to be heard anew."""
        for rank in ranks & self._others:
            self._heard[rank] = self._hears_us[rank] = _NEVER
            self._doubt.discard(rank)

    def is_heard(self, now: float, rank: int, within_s: float | None = None) -> bool:
        """Whether a word came from it lately."""
        return now - self._heard[rank] <= (self._longest_s if within_s is None else within_s)

    def is_open(self, now: float, rank: int) -> bool:
        """Whether words go both ways."""
        told = now - self._hears_us[rank] <= self._longest_s
        return told and self.is_heard(now, rank)

    def heard(self, now: float) -> tuple[int, ...]:
        """Whom we hear."""
        return tuple(sorted(rank for rank in self._others if self.is_heard(now, rank)))

    def open(self, now: float) -> set[int]:
        """With whom words go both ways."""
        return {rank for rank in self._others if self.is_open(now, rank)}

    def awaited(self, now: float) -> set[int]:
        """Who may answer: those, and at first whoever nothing is known of."""
        return self.open(now) | (self._doubt if now < self._doubt_ends else set())
