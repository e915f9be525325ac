# SPDX-License-Identifier: Apache-2.0
"""A mapping in the order of its keys, for maps that change all the time and are read in ranges.

Keys stand in sorted runs of bounded length, so that an insertion moves a few hundred pointers and
not a million; values stand in a dict, so that looking up one key costs what it costs there. New
keys wait until somebody asks for an order: to sort many at once is cheaper than to find a place for
each.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Any)  # what can be compared with its like
V = TypeVar("V")

_RUN_MAX = 512
_FEW = 8  # new ones that have as many others to each are put in one by one


class OrderedMap(Generic[K, V]):
    """Set, pop and get as a dict does; `items_from` in the order of keys."""

    __slots__ = ("_firsts", "_fresh", "_runs", "values")

    def __init__(self) -> None:
        self.values: dict[K, V] = {}
        self._runs: list[list[K]] = []
        self._firsts: list[K] = []  # the first key of each run
        self._fresh: list[K] = []  # keys that are in no run yet

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, key: K) -> bool:
        return key in self.values

    def get(self, key: K) -> V | None:
        """The value, or None."""
        return self.values.get(key)

    def set(self, key: K, value: V) -> None:
        """Put or replace."""
        if key not in self.values:
            self._fresh.append(key)
        self.values[key] = value

    def pop(self, key: K) -> V | None:
        """Take it away; None when it is not there."""
        if key not in self.values:
            return None
        self._place()
        at = bisect_right(self._firsts, key) - 1
        run = self._runs[at]
        del run[bisect_left(run, key)]
        if run:
            self._firsts[at] = run[0]
        else:
            del self._runs[at], self._firsts[at]
        return self.values.pop(key)

    def keys_from(self, first: K) -> Iterator[K]:
        """Keys not below `first`; the map may not change meanwhile."""
        self._place()
        at = max(0, bisect_right(self._firsts, first) - 1)
        if at < len(self._runs):
            run = self._runs[at]
            yield from run[bisect_left(run, first) :]
            for later in self._runs[at + 1 :]:
                yield from later

    def items_from(self, first: K) -> Iterator[tuple[K, V]]:
        """Pairs whose key is not below `first`; the map may not change meanwhile."""
        values = self.values
        return ((key, values[key]) for key in self.keys_from(first))

    def keys(self) -> Iterator[K]:
        """All keys in order."""
        self._place()
        for run in self._runs:
            yield from run

    def items(self) -> Iterator[tuple[K, V]]:
        """All pairs in order."""
        return ((key, self.values[key]) for key in self.keys())

    def copy(self) -> "OrderedMap[K, V]":
        """Another map with the same keys and values."""
        self._place()
        twin: OrderedMap[K, V] = OrderedMap()
        twin.values = dict(self.values)
        twin._runs = [list(run) for run in self._runs]
        twin._firsts = list(self._firsts)
        return twin

    def _place(self) -> None:
        """Put new keys into runs."""
        fresh = self._fresh
        if not fresh:
            return
        self._fresh = []
        if len(fresh) * _FEW < len(self.values):
            for key in fresh:
                self._insert(key)
            return
        fresh.sort()
        keys = [*chain.from_iterable(self._runs), *fresh]
        keys.sort()  # two that are sorted: merged in one pass
        self._runs = [keys[at : at + _RUN_MAX // 2] for at in range(0, len(keys), _RUN_MAX // 2)]
        self._firsts = [run[0] for run in self._runs]

    def _insert(self, key: K) -> None:
        if not self._runs:
            self._runs.append([key])
            self._firsts.append(key)
            return
        at = max(0, bisect_right(self._firsts, key) - 1)
        run = self._runs[at]
        run.insert(bisect_left(run, key), key)
        self._firsts[at] = run[0]
        if len(run) > _RUN_MAX:
            half = len(run) // 2
            self._runs.insert(at + 1, run[half:])
            self._firsts.insert(at + 1, run[half])
            del run[half:]
