# SPDX-License-Identifier: Apache-2.0
"""Who of a group's copies lacks which objects, and who has them."""

from octostack.engines.ceph.osd.core.members import shard_of
from octostack.engines.ceph.osd.core.peering import Peering
from octostack.engines.ceph.osd.core.values import Lacks
from octostack.wire.ceph.objects import HObject


class Finding:
    """See the module's essay; on the primary, once all agree on the log."""

    def __init__(self, peering: Peering) -> None:
        self._peering = peering

    def list_lacking(self) -> set[HObject]:
        """What any of the copies lacks."""
        peering = self._peering
        found = set(peering.record.lacks)
        for osd in peering.copies:
            found.update(peering.lacks.get(osd, ()))
        return found

    def list_unfound(self) -> Lacks:
        """What nobody who is there has; of shards, what fewer have than it takes to make it."""
        peering = self._peering
        k, lacks = peering.view.k, dict(peering.record.lacks)
        if self._count_whole() >= k:
            return {}
        if k > 1:
            for osd in peering.copies:
                lacks = {**peering.lacks.get(osd, {}), **lacks}
        return {what: need for what, need in lacks.items() if self._count(what) < k}

    def _count_whole(self) -> int:
        """How many may have everything: where they are enough no object need be looked at."""
        peering = self._peering
        whole = [osd for osd in peering.infos if not peering.lacks.get(osd)]
        mine = [] if peering.record.lacks else [peering.me]
        return len({shard_of(one) for one in (*mine, *whole) if one in peering.view.alive})

    def _count(self, what: HObject) -> int:
        mine = [] if what in self._peering.record.lacks else [self._peering.me]
        return len({shard_of(one) for one in (*mine, *self.sources(what))})

    def who_has(self, what: HObject) -> list[int]:
        """Shards of which we know that they have the object as it ought to be, our own first."""
        peering = self._peering
        mine = [] if what in peering.record.lacks else [peering.me]
        rest = [osd for osd in self.sources(what) if self.is_known(osd)]
        return mine + [osd for osd in rest if peering.infos[osd].is_complete]

    def is_readable(self, what: HObject) -> bool:
        """Whether enough different shards have the object: a stray may have one that also acts."""
        return len({shard_of(osd) for osd in self.who_has(what)}) >= self._peering.view.k

    def sources(self, what: HObject) -> list[int]:
        """Who else may have the object, the likeliest first."""
        peering = self._peering
        sources = [osd for osd in sorted(peering.infos) if self._may_have(osd, what)]
        sources.sort(key=lambda osd: (not self.is_known(osd), osd not in peering.copies))
        return sources

    def _may_have(self, osd: int, what: HObject) -> bool:
        """Whether it is worth asking the copy; one that has another version is asked but once."""
        peering = self._peering
        return osd in peering.view.alive and what not in peering.lacks.get(osd, ())

    def is_known(self, osd: int) -> bool:
        """Whether we know what the copy lacks; of one that is to be filled we do not."""
        return osd in self._peering.lacks and osd not in self._peering.choice.backfill
