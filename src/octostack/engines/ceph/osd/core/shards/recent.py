# SPDX-License-Identifier: Apache-2.0
"""Stripes that were read, or written in part, not long ago: whoever writes the rest of one, as a
client does that goes through an object bit by bit, need not read it from other shards.

There is one for an OSD, with a bound on its bytes; groups are its owners. What is in it is what the
object is behind all changes until now, whether they are durable yet or not.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping

from octostack.wire.ceph.objects import HObject

BYTES_MAX = 4 << 20
ONCE_MAX = 64 << 10  # of one read: longer ones go through whole stripes
_Stripe = tuple[Hashable, HObject, int]


class Recent:
    """See the module's essay."""

    def __init__(self, most: int = BYTES_MAX) -> None:
        self._most = most
        self._bytes = 0
        self._stripes: OrderedDict[_Stripe, bytes] = OrderedDict()
        self._numbers: dict[Hashable, dict[HObject, set[int]]] = {}

    def find(self, owner: Hashable, what: HObject, numbers: Iterable[int]) -> list[bytes] | None:
        """These stripes of an object; None when one of them is not here."""
        keys = [(owner, what, number) for number in numbers]
        if any(key not in self._stripes for key in keys):
            return None
        for key in keys:
            self._stripes.move_to_end(key)
        return [self._stripes[key] for key in keys]

    def put(self, owner: Hashable, what: HObject, stripes: Mapping[int, bytes]) -> None:
        """They are this now."""
        self.drop(owner, what, stripes)
        for number, data in stripes.items():
            self._stripes[owner, what, number] = data
            self._bytes += len(data)
            self._numbers.setdefault(owner, {}).setdefault(what, set()).add(number)
        while self._bytes > self._most:
            self._take(next(iter(self._stripes)))

    def drop(self, owner: Hashable, what: HObject, numbers: Iterable[int] | None = None) -> None:
        """They are something else now, or (None) all of the object's."""
        known = self._numbers.get(owner, {}).get(what, set())
        for number in known.copy() if numbers is None else known.intersection(numbers):
            self._take((owner, what, number))

    def forget(self, owner: Hashable) -> None:
        """The group begins anew."""
        for what in list(self._numbers.get(owner, ())):
            self.drop(owner, what)

    def _take(self, key: _Stripe) -> None:
        self._bytes -= len(self._stripes.pop(key))
        owner, what, number = key
        numbers = self._numbers[owner][what]
        numbers.discard(number)
        if not numbers:
            del self._numbers[owner][what]
        if not self._numbers[owner]:
            del self._numbers[owner]
