# SPDX-License-Identifier: Apache-2.0
"""How the copies of a group agree on one log, each time the map changes who has it.

The primary of an interval

1. asks everyone who may know of a write (`INFO`): the OSDs of now, and of each past interval in
   which writes may have been taken, until at least one of each has answered;
2. chooses whose log counts, and who should act. If those are others than the map says, it asks the
   monitors for that, and the next interval goes on (`WAIT_MAP`);
3. takes that log (`LOG`), and asks what each copy lacks (`LACKS`);
4. waits until the monitors have noted that it is up in this interval (`UP_THRU`): without that
   note, later intervals may take it that nothing was written in this one;
5. gives its log to all copies, and when all have it durably, is `ACTIVE`: it serves, and `recovery`
   brings the copies objects they lack.

Everyone else answers the primary and takes what it sends. Links between two OSDs keep order and
lose nothing while both live; nothing is sent twice. Time plays no part: whatever does not come is
a matter for the monitors, whose next map begins a new interval.
"""

from collections.abc import Callable, Sequence

import msgspec

from octostack.engines.ceph.osd.core import choosing, merging
from octostack.engines.ceph.osd.core.log import ZERO, Log
from octostack.engines.ceph.osd.core.members import osd_of
from octostack.engines.ceph.osd.core.outside import Outside, Phase, Record
from octostack.engines.ceph.osd.core.values import (
    Activate,
    Activated,
    Asked,
    History,
    Info,
    Interval,
    Lacks,
    LogPart,
    Message,
    Notify,
    Progress,
    Query,
    Rewind,
    View,
)
from octostack.wire.ceph.objects import HOBJECT_MIN, EVersion, HObject

_ACTIVE = Phase.ACTIVE  # asked for each request


class Peering:
    """One copy; see the module's essay."""

    def __init__(self, me: int, record: Record, outside: Outside, view: View) -> None:
        self.me = me
        self.record = record
        self.outside = outside
        self.view = view
        self.phase = Phase.STRAY
        self.choice = choosing.Choice(me, (), ())
        self.infos: dict[int, Info] = {}
        self.lacks: dict[int, Lacks] = {}  # of the copies that were asked
        self.prior = choosing.Prior(frozenset(), frozenset())
        self._asked: set[int] = set()
        self._unready: set[int] = set()
        self._to_rewind: dict[int, EVersion] = {}
        self._kept = False  # what the log said when the interval began
        self._generation = 0  # counts intervals: what an older one waited for is void

    # -- what others look at

    @property
    def is_primary(self) -> bool:
        """Whether this copy decides."""
        return self.view.primary == self.me

    @property
    def is_active(self) -> bool:
        """Whether it serves clients."""
        return self.phase is _ACTIVE and len(self.view.acting) >= self.view.min_size

    @property
    def blocked_by(self) -> list[int]:
        """The OSDs that are down and waited for."""
        down = self.prior.blocked if self.phase == Phase.DOWN else ()
        return sorted({osd_of(member) for member in down})

    def is_asked(self, member: int) -> bool:
        """Whether an answer of that copy is still to come."""
        return member in self._asked

    @property
    def copies(self) -> list[int]:
        """Those who get every change: the acting ones and those being filled, but for us."""
        members = (*self.choice.acting, *self.choice.backfill)
        return [osd for osd in members if osd != self.me]

    # -- what comes in

    def start(self, *views: View, created: int = 0) -> None:
        """Begin with the map of `view`, which must be that of the interval in the record, and with
        what has come since: only the last of it is acted upon. `created`: the group itself is new,
        as of this epoch; else a copy that knows of no past waits to be told."""
        if not self.record.info.interval:
            self._set_info(interval=self.view.epoch)
        if created:
            self._set_info(history=self.record.info.history.merge(History(created=created)))
        self._follow(views)
        self.outside.keep([])
        self._begin()

    def advance(self, *views: View) -> None:
        """The next epochs of the map, none left out; only the last of them is acted upon."""
        before, born = self.record.info.interval, self.view.up_from
        self._follow(views)
        if self.record.info.interval != before:
            self.outside.keep([])
            self._begin()
            return
        there = [set(view.alive) for view in views]
        lost = {
            osd
            for osd in {*self._asked, *self.infos}
            if any(osd not in alive for alive in there)
            or born.get(osd) != self.view.up_from.get(osd)
        }
        self._look_again(lost)
        if not self.is_primary and born.get(self.me) != self.view.up_from.get(self.me):
            self._tell_primary()  # what we said to it as another incarnation is void

    def _follow(self, views: Sequence[View]) -> None:
        for view in views:
            old, self.view = self.view, view
            if not old.same_interval(view):
                first = self.record.info.interval
                wrote = choosing.may_have_written(first, old)
                self.record.past.append(Interval(first, view.epoch - 1, old.acting, wrote))
                self._set_info(interval=view.epoch)

    def receive(self, source: int, message: Message) -> bool:
        """A message of this kind from another OSD; False when it is not for this machine."""
        if message.epoch < self.record.info.interval:
            return type(message) in _KINDS
        match message:
            case Query():
                self._answer(source, message)
            case Notify():
                self._on_notify(source, message)
            case LogPart():
                self._on_log(source, message)
            case Activate():
                self._on_activate(source, message)
            case Activated():
                self._on_activated(source)
            case Rewind():
                self._on_rewind(source, message)
            case Progress():
                self._set_info(history=self.record.info.history.merge(message.history))
                self.record.forget_past()
                self.outside.keep([])
            case _:
                return False
        return True

    def stop(self) -> None:
        """Take no further part."""
        self._generation += 1
        self.phase = Phase.STRAY

    def learn(self, history: History, past: list[Interval]) -> None:
        """What another copy knows of the group's past; a new copy must have it before it begins."""
        self._set_info(history=self.record.info.history.merge(history))
        self.record.learn_past(past)

    # -- an interval begins

    def _begin(self) -> None:
        self._generation += 1
        self._kept = False
        self.infos, self.lacks = {}, {}
        self._asked, self._unready, self._to_rewind = set(), set(), {}
        self.choice = choosing.Choice(self.me, (), ())
        self._settle()
        self.outside.interval_begins()
        if self.is_primary:
            self.phase = Phase.INFO
            self._ask_infos()
            self._when_kept(self._own_is_kept)
            return
        self.phase = Phase.STRAY
        self._tell_primary()

    def _tell_primary(self) -> None:
        if self.view.primary >= 0 and self.me in self.view.alive:
            self._notify(self.view.primary)

    def _look_again(self, lost: set[int]) -> None:
        """The map changed, but not for us: someone we wait for may have gone or come."""
        if not self.is_primary:
            return
        if self.phase in (Phase.LOG, Phase.LACKS) and lost & self._asked:
            self._begin()
            return
        self._asked -= lost
        for osd in lost:
            self.infos.pop(osd, None)
            self.lacks.pop(osd, None)
        if lost and self.phase == Phase.ACTIVE:
            self.outside.sources_changed(lost)
        if self.phase in (Phase.INFO, Phase.DOWN, Phase.INCOMPLETE, Phase.WAIT_MAP):
            self._ask_infos()
        elif self.phase == Phase.UP_THRU:
            self._activate_when_noted()

    def _own_is_kept(self) -> None:
        """What our own log says is durable now: before that it may not be given to others, who
        would keep the log of a change whose bytes a crash could still take."""
        self._kept = True
        if self.phase == Phase.INFO:
            self._ask_infos()

    def _ask_infos(self) -> None:
        history = self.record.info.history
        self.phase = Phase.INFO
        if not history.created:
            return  # new to the group: whoever is not will tell, as we are its primary
        self.prior = wanted = choosing.prior(self.view, self.record.past, history.started)
        ask = {osd for osd in wanted.ask if osd in self.view.alive} - {self.me}
        for osd in sorted(ask - self._asked):
            self._query(osd, Asked.INFO)
        self._asked = ask
        self.infos = {osd: info for osd, info in self.infos.items() if osd in self.view.alive}
        if wanted.blocked:
            self.phase = Phase.DOWN
        elif self._kept and not ask - set(self.infos):
            self._choose()
        else:
            self.phase = Phase.INFO

    def _on_notify(self, source: int, message: Notify) -> None:
        if not self.is_primary:
            return
        self.infos[source] = message.info
        self.learn(message.info.history, message.past)
        if self.phase == Phase.ACTIVE:
            self._ask_stray(source)
        elif self.phase in (Phase.INFO, Phase.DOWN, Phase.INCOMPLETE):
            self._ask_infos()

    def _ask_stray(self, osd: int) -> None:
        """It has come back, or late, perhaps with what nobody else has."""
        copies = self.copies if self.view.k > 1 else ()  # it may take several to make a shard
        lacks = (self.record.lacks, *(self.lacks.get(one) for one in copies))
        if any(lacks) and self.infos[osd].is_complete and osd not in self.copies:
            self._asked.add(osd)
            tail = merging.cut(self.record.log, self.infos[osd].last_update)[0]
            self._query(osd, Asked.LOG, tail)

    def _choose(self) -> None:
        everyone = {**self.infos, self.me: self.record.info}
        choice = choosing.choose(self.view, everyone, self.me)
        if choice is None:
            self.phase = Phase.INCOMPLETE
            return
        acting = self.view.acting
        same = set(choice.acting) == set(acting)
        if self.view.k == 1:  # of shards, the map chooses the primary
            same = same and choice.acting[0] == self.view.primary
        if not same:
            self.phase = Phase.WAIT_MAP
            self.outside.want_acting(() if choice.acting == self.view.up else choice.acting)
            return
        self.choice = choice
        if choice.best == self.me:
            self._ask_lacks()
            return
        self.phase, self._asked = Phase.LOG, {choice.best}
        tail = everyone[choice.best].log_tail
        members = [everyone[osd].last_update for osd in choice.acting]
        since = max(tail, min([*members, self.record.info.last_update]))
        self._query(choice.best, Asked.LOG, since)

    def _query(self, osd: int, what: Asked, since: EVersion = ZERO) -> None:
        epoch, info, past = self.view.epoch, self.record.info, list(self.record.past)
        first, history = info.interval, info.history
        query = Query(
            epoch=epoch, what=what, interval=first, history=history, past=past, since=since
        )
        self.outside.send(osd, query)

    def _answer(self, source: int, query: Query) -> None:
        self.learn(query.history, query.past)
        if query.what == Asked.INFO:
            self._notify(source)
            return
        tail, entries = merging.cut(self.record.log, query.since)
        self._settle()
        epoch, info, lacks = self.view.epoch, self.record.info, dict(self.record.lacks)
        part = LogPart(epoch=epoch, info=info, tail=tail, entries=entries, lacks=lacks)
        self._send_kept(source, part)

    # -- the logs

    def _on_log(self, source: int, message: LogPart) -> None:
        if source not in self._asked:
            return
        if self.phase == Phase.LOG:
            self.lacks[source] = dict(message.lacks)
            self.infos[source] = message.info
            merged = self._merge(message)
            self._settle()
            self.outside.take_back(merged.revert)
            self.outside.keep(merged.remove)
            self._ask_lacks()
        elif self.phase == Phase.ACTIVE:
            self._asked.discard(source)
            self._take_lacks(source, message)
            self._rewind_strays()
            self.outside.sources_changed(set())
        elif self.phase == Phase.LACKS:
            self._asked.discard(source)
            self._take_lacks(source, message)
            if not self._asked:
                self._activate_when_noted()

    def _merge(self, message: LogPart | Activate) -> merging.Merged:
        """Make our log end as that one does, which may be behind the last entry that is left."""
        record = self.record
        merged = merging.merge(
            *(record.log, record.lacks, message.tail, message.entries, self._inside),
            reverts=self.view.k > 1,
        )
        record.log.head = message.info.last_update
        return merged

    def _take_lacks(self, source: int, message: LogPart) -> None:
        own, is_shard = self.record.log, self.view.k > 1
        part = (message.tail, message.entries)
        lacks, common = merging.lacks_of(own, message.lacks, part, reverts=is_shard)
        if is_shard and message.entries and message.entries[-1].version > common:
            self._to_rewind[source] = common
        self.lacks[source], self.infos[source] = lacks, message.info

    def _ask_lacks(self) -> None:
        self.phase = Phase.LACKS
        self._asked, log = set(), self.record.log
        for osd, info in sorted(self.infos.items()):
            if osd not in self.view.alive or osd in self.choice.backfill or osd in self.lacks:
                continue
            if not info.is_complete or info.last_update < log.tail:
                continue
            self._asked.add(osd)
            tail = merging.cut(log, info.last_update)[0]
            self._query(osd, Asked.LOG, tail)
        for osd in self.choice.backfill:
            self.lacks[osd] = {}
        if not self._asked:
            self._activate_when_noted()

    # -- agreement

    def _activate_when_noted(self) -> None:
        since = self.record.info.interval
        if self.view.up_thru.get(self.me, 0) < since:
            self.phase = Phase.UP_THRU
            self.outside.want_up_thru(since)
            return
        self.phase = Phase.ACTIVATING
        self._set_info(started=self.view.epoch)
        self._unready = {self.me, *self.copies}
        for osd in self.copies:
            self._send_log(osd)
        self._when_kept(lambda: self._on_activated(self.me))

    def _send_log(self, osd: int) -> None:
        epoch, log, info, past = (
            self.view.epoch,
            self.record.log,
            self.record.info,
            self.record.past,
        )
        fill = osd in self.choice.backfill
        tail, entries = merging.cut(log, log.tail if fill else self.infos[osd].last_update)
        message = Activate(
            epoch=epoch, info=info, tail=tail, entries=entries, past=list(past), backfill=fill
        )
        self.outside.send(osd, message)

    def _on_activate(self, source: int, message: Activate) -> None:
        if source != self.view.primary:
            return
        record = self.record
        self.phase = Phase.REPLICA
        remove: list[HObject] = []
        if message.backfill:
            record.log = Log(message.entries, message.tail, message.info.last_update)
            record.lacks = {}
            record.info = msgspec.structs.replace(record.info, last_backfill=HOBJECT_MIN)
        else:
            merged = self._merge(message)
            remove = merged.remove
            self.outside.take_back(merged.revert)
        self.record.learn_past(message.past)
        history = record.info.history.merge(message.info.history)
        self._set_info(started=message.info.started, history=history)
        self._settle()
        done = Activated(epoch=self.view.epoch)
        self._when_kept(lambda: self.outside.send(source, done), remove)
        self.outside.agreed()

    def _on_activated(self, osd: int) -> None:
        if self.phase != Phase.ACTIVATING:
            return
        self._unready.discard(osd)
        if self._unready:
            return
        self.phase = Phase.ACTIVE
        info = self.record.info
        history = info.history.merge(History(started=info.started))
        self._set_info(history=history)
        self.outside.keep([])
        self.tell(history)
        self._rewind_strays()
        for one in sorted(self.infos.keys() - self.lacks.keys()):
            self._ask_stray(one)
        self.outside.activated()

    def _rewind_strays(self) -> None:
        """Only now: until all had agreed, what they have might have been what counts."""
        to_rewind, self._to_rewind = self._to_rewind, {}
        for osd, to in to_rewind.items():
            if osd not in self.copies:
                self.outside.send(osd, Rewind(epoch=self.view.epoch, to=to))

    def _on_rewind(self, source: int, message: Rewind) -> None:
        if source != self.view.primary:
            return
        record = self.record
        merged = merging.merge(record.log, record.lacks, message.to, [], self._inside, reverts=True)
        self._settle()
        self.outside.take_back(merged.revert)
        self.outside.keep(merged.remove)

    def tell(self, history: History) -> None:
        """Let the copies know of it."""
        for osd in self.copies:
            self.outside.send(osd, Progress(epoch=self.view.epoch, history=history))

    # -- the record

    def set_clean(self) -> None:
        """All copies are whole, and they are those of the map: the past is over. All of them have
        the first epoch of the interval, but not yet every later one that we have."""
        clean = History(clean=self.record.info.interval)
        self._set_info(history=self.record.info.history.merge(clean))
        self.record.forget_past()
        self.note(History())

    def note(self, history: History) -> None:
        """Something more is known, by us as the primary: keep it, and tell the copies."""
        history = self.record.info.history.merge(history)
        self._set_info(history=history)
        self.outside.keep([])
        self.tell(history)

    def _settle(self) -> None:
        log = self.record.log
        self._set_info(last_update=log.head, log_tail=log.tail, whole=not self.record.lacks)

    def _set_info(self, **changes: object) -> None:
        self.record.info = msgspec.structs.replace(self.record.info, **changes)

    def _inside(self, what: HObject) -> bool:
        info = self.record.info
        return info.is_complete or what.sort_key() < info.last_backfill.sort_key()

    def _notify(self, osd: int) -> None:
        self._settle()
        past = list(self.record.past)
        self._send_kept(osd, Notify(epoch=self.view.epoch, info=self.record.info, past=past))

    def _send_kept(self, osd: int, message: Message) -> None:
        """Once all that it tells of is durable here: others will count on it."""
        self._when_kept(lambda: self.outside.send(osd, message))

    def _when_kept(self, then: Callable[[], None], remove: Sequence[HObject] = ()) -> None:
        """Call once all until now is durable, unless another interval has begun by then."""
        generation = self._generation

        def kept() -> None:
            if generation == self._generation:
                then()

        self.outside.keep(list(remove), kept)


_KINDS = (Query, Notify, LogPart, Activate, Activated, Progress, Rewind)
