# SPDX-License-Identifier: Apache-2.0
"""Whether a group has any copy at all: asked by its primary, when it has none and heard of none.

A group is made by those who see the epoch that its pool was made in. But the OSDs of that epoch may
all have died before they saw it, or the first OSD of a cluster may come later than its first pool.
Then the primary of now must know that nobody has taken a write. Nobody can have but as a primary
that the monitors had noted as up (`choosing.may_have_written`); and of the last one that did, the
copy is still there, as a copy is only given up for others that went on. So it asks every OSD that
was ever noted, in whatever interval: when all of them have nothing, the group is new. One that is
down is waited for, until it is back, or lost, or no more in the map.

Who has a copy need not answer: it tells each new primary of it anyway.
"""

from collections.abc import Callable, Mapping

import msgspec

from octostack.engines.ceph.osd.core.members import osd_of
from octostack.engines.ceph.osd.core.values import Message, Nothing, Seek
from octostack.engines.ceph.osd.epochs import Epoch
from octostack.wire.ceph.objects import ShardPG

Send = Callable[[int, ShardPG, Message], None]


class _Search(msgspec.Struct):
    first: int  # epoch of the interval
    asked: dict[int, int] = {}  # OSD, and since when it was up then
    answered: set[int] = set()


class Seeking:
    """All searches of an OSD."""

    def __init__(self, me: int, send: Send) -> None:
        self._me = me
        self._send = send
        self._searches: dict[ShardPG, _Search] = {}

    def follow(self, epoch: Epoch, wanted: Mapping[ShardPG, int]) -> list[ShardPG]:
        """Ask for the copies that are wanted, given with the first epoch of their intervals, and
        for no others; those of which there are none anywhere."""
        self._searches = {
            where: search
            for where, search in self._searches.items()
            if wanted.get(where) == search.first
        }
        return [where for where, first in wanted.items() if self._is_new(epoch, where, first)]

    def heard(self, source: int, where: ShardPG, message: Nothing) -> None:
        """An OSD has no copy."""
        search = self._searches.get(where)
        if search is not None and message.epoch >= search.first:
            search.answered.add(osd_of(source))

    def _is_new(self, epoch: Epoch, where: ShardPG, first: int) -> bool:
        search = self._searches.setdefault(where, _Search(first))
        others = {osd: at for osd, at in epoch.noted.items() if osd != self._me}
        for osd, up_from in others.items():
            if up_from and osd not in search.answered and search.asked.get(osd) != up_from:
                search.asked[osd] = up_from
                self._send(osd, where, Seek(epoch=epoch.number, shard=where.shard))
        return others.keys() <= search.answered
