# SPDX-License-Identifier: Apache-2.0
"""The objects of a copy, as recovery sees them."""

from collections.abc import Callable
from typing import Protocol

from octostack.engines.ceph.osd.core.values import Copy
from octostack.wire.ceph.objects import EVersion, HObject


class Objects(Protocol):
    """What recovery does to the objects of this copy."""

    def find_copy(self, what: HObject) -> Copy | None:
        """An object as it is now; None when it cannot be read."""

    def size_of(self, what: HObject) -> int:
        """Its bytes, about; of one that is not here too."""

    def put_copy(self, copy: Copy, then: Callable[[], None]) -> None:
        """Make the object that; `then` once it is durable."""

    def scan(self, first: HObject, limit: int) -> tuple[dict[HObject, EVersion], HObject]:
        """Objects from `first` on with their versions, and where to go on (the greatest: end)."""

    def versions(self, what: HObject) -> dict[HObject, EVersion]:
        """Of an object and its clones."""

    def fill_to(self, end: HObject, then: Callable[[], None]) -> None:
        """Note how far a backfill has come."""

    def make_copy(
        self, osd: int, what: HObject, version: EVersion, then: Callable[[Copy | None], None]
    ) -> None:
        """Of a shard, which nobody has: make it of others; None when too few of them are there."""

    def free(self, what: HObject) -> None:
        """Whoever waits for this object may go on."""

    def free_all(self) -> None:
        """Whoever waits for any object should look again."""
