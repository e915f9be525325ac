# SPDX-License-Identifier: Apache-2.0
"""How much recovery an OSD does at a time, over all its groups: objects, and bytes of them.

Who gets nothing waits in line. What a client waits for is never refused: it only makes others wait.
"""

from collections.abc import Callable, Hashable

OBJECTS_MAX = 10
BYTES_MAX = 64 << 20


class Allowance:
    """See the module's essay."""

    def __init__(self) -> None:
        self.objects_max = OBJECTS_MAX
        self.bytes_max = BYTES_MAX
        self.bytes = 0
        self._taken: dict[Hashable, int] = {}
        self._line: dict[Hashable, Callable[[], None]] = {}
        self._calling = False

    def take(self, key: Hashable, size: int, *, urgent: bool = False) -> bool:
        """Whether an object of this size may be under way, as `key`, until it is given back."""
        if key in self._taken:
            return True
        full = len(self._taken) >= self.objects_max or self.bytes + size > self.bytes_max
        if self._taken and full and not urgent:
            return False
        self.bytes += size
        self._taken[key] = size
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

    def _call(self) -> None:
        """Each in line in turn, as long as there is something to have."""
        if self._calling:
            return
        self._calling = True
        for who in list(self._line):
            if len(self._taken) >= self.objects_max or self.bytes >= self.bytes_max:
                break
            again = self._line.pop(who, None)
            if again is not None:
                again()
        self._calling = False
