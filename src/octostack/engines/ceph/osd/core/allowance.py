# SPDX-License-Identifier: Apache-2.0
"""How much recovery an OSD does at a time, over all its groups: objects, and bytes of them.

Who gets nothing waits in line. What a client waits for is never refused: it only makes others wait.
Clients come first also in this: after a little of recovery the OSD does whatever else there is to
do (`rest`), before the next of it.
"""

from collections.abc import Callable, Hashable

import msgspec

OBJECTS_MAX = 64
BYTES_MAX = 32 << 20
TURN_BYTES = 1 << 20  # of recovery, until others have their turn
_OBJECT_BYTES = 64 << 10  # what it takes to begin with any object, in bytes of one that is large


class Rules(msgspec.Struct, frozen=True):
    """What the configuration and the map say."""

    objects_max: int = OBJECTS_MAX
    bytes_max: int = BYTES_MAX
    may_recover: bool = True  # else nothing is begun but what clients wait for (norecover)
    may_fill: bool = True  # nobackfill
    may_rebalance: bool = True  # norebalance: no filling where there are enough copies
    is_full: bool = False  # too full to take copies for others
    retry_ticks: int = 30  # until one that was too full is asked again


class Allowance:
    """See the module's essay. `rest`, where given, calls what it gets after other work."""

    def __init__(self) -> None:
        self.rules = Rules()
        self.rest: Callable[[Callable[[], None]], None] | None = None
        self.turn_bytes = TURN_BYTES
        self.bytes = 0
        self._taken: dict[Hashable, int] = {}
        self._line: dict[Hashable, Callable[[], None]] = {}
        self._calling = False
        self._turn = 0
        self._resting = False

    def follow(self, rules: Rules) -> None:
        """What holds from now on."""
        before, self.rules = self.rules, rules
        if before != rules:
            self._call(all_of_them=True)

    def take(self, key: Hashable, size: int, *, urgent: bool = False) -> bool:
        """Whether an object of this size may be under way, as `key`, until it is given back."""
        if key in self._taken:
            return True
        if not urgent and (self._resting or not self._has_room(size)):
            return False
        self.bytes += size
        self._taken[key] = size
        self._turn += size + _OBJECT_BYTES
        if self._turn >= self.turn_bytes and self.rest is not None and not self._resting:
            self._resting, self._turn = True, 0
            self.rest(self._rested)
        return True

    def give(self, key: Hashable) -> None:
        """It is done; whoever waits may try again."""
        size = self._taken.pop(key, None)
        if size is not None:
            self.bytes -= size
            self._call()

    def wait(self, who: Hashable, again: Callable[[], None]) -> None:
        """Stand in line: `again` is called when something was given back."""
        self._line[who] = again

    def leave(self, who: Hashable) -> None:
        """Wait no more."""
        self._line.pop(who, None)

    def _has_room(self, size: int) -> bool:
        rules = self.rules
        if not rules.may_recover:
            return False
        full = len(self._taken) >= rules.objects_max or self.bytes + size > rules.bytes_max
        return not (self._taken and full)

    def _rested(self) -> None:
        self._resting = False
        self._call()

    def _call(self, *, all_of_them: bool = False) -> None:
        """Each in line in turn, as long as there is something to have."""
        if self._calling or self._resting:
            return
        self._calling = True
        for who in list(self._line):
            if self._resting or not (all_of_them or self._has_room(0)):
                break
            again = self._line.pop(who, None)
            if again is not None:
                again()
        self._calling = False
