# SPDX-License-Identifier: Apache-2.0
"""Bringing every copy what it lacks, once all agree on the log; runs on the primary.

* What the primary lacks it pulls from a copy that has it; what another copy lacks it pushes.
  A request for an object that some copy lacks waits until that object is everywhere.
* Then a copy that the log does not reach back to is filled in the order of objects (`filling`).

Each of the two begins when the group has its places at the OSDs concerned (`reserving`); what a
client waits for is brought at once. How many objects are under way, and how many bytes of them, is
bounded for the whole OSD (`allowance`), so memory stays bounded however much there is to do.
"""

from collections import deque
from collections.abc import Callable, Iterable

from octostack.engines.ceph.osd.core import choosing
from octostack.engines.ceph.osd.core.filling import Filling
from octostack.engines.ceph.osd.core.finding import Finding
from octostack.engines.ceph.osd.core.objects import Objects
from octostack.engines.ceph.osd.core.peering import Peering
from octostack.engines.ceph.osd.core.reserving import (
    DEGRADED,
    INACTIVE,
    MOVED,
    RECOVERED,
    Claim,
    Home,
    Kind,
)
from octostack.engines.ceph.osd.core.values import (
    Backfilled,
    BackfilledReply,
    Copy,
    Forget,
    Message,
    Need,
    Pull,
    Push,
    PushReply,
    Scan,
    Scanned,
)
from octostack.wire.ceph.objects import EVersion, HObject


class Recovery:
    """See the module's essay."""

    def __init__(self, peering: Peering, objects: Objects, home: Home) -> None:
        self.peering = peering
        self.objects = objects
        self.allowance = home.allowance
        self.claim = Claim(peering, home)
        self.finding = Finding(peering)
        self.asked_back: dict[
            HObject, Callable[[Copy], None]
        ] = {}  # older versions: see `ask_back`
        self._ticks = 0  # since somebody was too full
        self._todo: deque[HObject] = deque()  # that some copy may lack, in order
        self._pulling: dict[HObject, int] = {}  # from whom
        self._pushing: dict[HObject, set[int]] = {}
        self._filling: dict[int, Filling] = {}
        self._running = False
        self._told_clean = False
        self._life = 0

    def stop(self) -> None:
        """The interval is over."""
        self._running = self._told_clean = False
        self._life += 1
        self._ticks = 0
        self.allowance.leave(self)
        self.claim.stop()
        self._todo.clear()
        moving, filling = {*self._pulling, *self._pushing}, self._filling
        self._pulling, self._pushing, self._filling = {}, {}, {}
        for what in moving:
            self._done(what)
        for one in filling.values():
            one.stop()

    def begin(self) -> None:
        """All agree: begin."""
        self._running = True
        self._filling = {osd: Filling(osd, self) for osd in self.peering.choice.backfill}
        self._look_again()

    def sources_changed(self, lost: set[int]) -> None:
        """Ask others for what these were asked for."""
        for what in [what for what, osd in self._pulling.items() if osd in lost]:
            del self._pulling[what]
            self._done(what)
        self._look_again()

    def mark_lost(self, osd: int, what: HObject, version: EVersion) -> None:
        """What a copy has of the object is not what it ought to have; see `again`."""
        peering = self.peering
        lacks = peering.lacks.setdefault(osd, {}) if osd != peering.me else peering.record.lacks
        lacks[what] = Need(version, EVersion())

    def again(self) -> None:
        """Something was marked as lost: bring it."""
        self._told_clean = False
        self.peering.outside.keep([])
        self._look_again()

    @property
    def is_done(self) -> bool:
        """Whether no copy lacks anything."""
        peering = self.peering
        lacks = (peering.lacks.get(osd) for osd in peering.copies)
        return self._running and not (self._filling or peering.record.lacks or any(lacks))

    def progress(self) -> dict[int, int]:
        """How many objects each copy that is being filled has by now."""
        return {osd: filling.passed for osd, filling in self._filling.items()}

    def must_wait(self, what: HObject, writes: bool) -> bool:
        """Whether a request for the object has to wait; what it waits for comes first."""
        peering = self.peering
        lacks = peering.record.lacks
        if lacks and what in lacks:
            self._recover(what, urgent=True)
            return True
        if peering.view.k > 1 and not self.finding.is_readable(what):
            self._recover(what)
            return True
        if not writes:
            return False
        others = peering.lacks
        if any(others.values()) and any(what in others.get(osd, ()) for osd in peering.copies):
            self._recover(what, urgent=True)
            return True
        filling = self._filling
        return bool(filling) and any(one.flies(what) for one in filling.values())

    def takes(self, osd: int, what: HObject) -> bool:
        """Whether a change of the object, which is made now, is for this copy; else it is too far
        on in one being filled."""
        filling = self._filling.get(osd)
        return filling is None or filling.takes(what)

    def receive(self, source: int, message: Message) -> bool:
        """A message about recovery; False when it is not."""
        match message:
            case Pull():
                self._give(source, message.object)
            case Push():
                self._on_push(source, message.copy)
            case PushReply():
                self._on_push_reply(source, message.object)
            case Scan():
                self._on_scan(source, message)
            case Scanned():
                if source in self._filling:
                    self._filling[source].scanned(message)
            case Backfilled():
                self._on_backfilled(source, message)
            case BackfilledReply():
                if source in self._filling:
                    self._filling[source].noted(message.last_backfill)
            case _:
                return self.claim.receive(source, message)
        return True

    # -- by the log

    def _look_again(self) -> None:
        """What there is to do, from the beginning."""
        if self._running:
            self._todo = deque(sorted(self.finding.list_lacking(), key=HObject.sort_key))
            self._go_on()

    def _go_on(self) -> None:
        if not self._running:
            return
        kind = self._to_do()
        if kind != self.claim.kind:
            self._claim(kind)
        if self.claim.is_held and kind == Kind.FILL:
            for filling in list(self._filling.values()):
                filling.go_on()
        while self.claim.is_held and self._todo:
            if not self._recover(self._todo[0]):
                self.allowance.wait(self, self._go_on)
                return
            if self._todo:
                self._todo.popleft()
        self._tell_if_clean()

    def _to_do(self) -> Kind | None:
        """What the group wants places for."""
        while self._todo and not self._is_doable(self._todo[0]):
            self._todo.popleft()
        if self._todo:
            return Kind.RECOVER
        if self.peering.record.lacks or all(one.all_sent for one in self._filling.values()):
            return None
        return Kind.FILL if self._may_begin_to_fill() else None

    def _may_begin_to_fill(self) -> bool:
        rules, view = self.allowance.rules, self.peering.view
        if self.claim.too_full:
            return False
        if rules.may_fill and (rules.may_rebalance or len(view.acting) < view.size):
            return True
        self.allowance.wait(self, self._go_on)
        return False

    def _claim(self, kind: Kind | None) -> None:
        if kind is None:
            self.claim.drop()
            return
        peering = self.peering
        members: Iterable[int] = self._filling
        rank = DEGRADED if len(peering.view.acting) < peering.view.size else MOVED
        if kind == Kind.RECOVER:
            members = [osd for osd in peering.copies if peering.lacks.get(osd)]
            rank = RECOVERED
        if not peering.is_active:
            rank = INACTIVE
        self.claim.take(kind, members, rank, self._go_on)

    def tick(self) -> None:
        """To be called every second or so: whoever was too full may have room by now."""
        if self.claim.too_full:
            self._ticks += 1
            if self._ticks >= self.allowance.rules.retry_ticks:
                self._ticks, self.claim.too_full = 0, False
                self._go_on()

    def words(self) -> list[str]:
        """What the group does, in Ceph's words."""
        claim = self.claim
        if claim.kind == Kind.RECOVER and not claim.is_held:
            return ["recovery_wait"]
        if claim.kind == Kind.RECOVER or self._pulling or self._pushing:
            return ["recovering"]
        if self._running and self.finding.list_unfound():
            return ["recovery_unfound"]
        if not self._filling:
            return [] if self.is_done or not self._running else ["recovering"]
        if claim.is_held or all(one.all_sent for one in self._filling.values()):
            return ["backfilling"]
        return ["backfill_wait", *(["backfill_toofull"] if claim.too_full else [])]

    def _is_doable(self, what: HObject) -> bool:
        """Whether there is anything to begin with an object."""
        if what in self.peering.record.lacks:
            return bool(self.finding.sources(what))
        return bool(self._lacked_by(what))

    def _recover(self, what: HObject, *, urgent: bool = False) -> bool:
        """Begin, if there is anything to do; False when it has to wait."""
        if not self._running or what in self._pulling or what in self._pushing:
            return True
        peering = self.peering
        is_here = what not in peering.record.lacks
        sources = [] if is_here else self.finding.sources(what)
        if not sources and not self._lacked_by(what):
            return True
        size = self.objects.size_of(what)
        if not self.allowance.take((id(self), what), size, urgent=urgent):
            return False
        if is_here:
            self._push(what)
        elif peering.view.k > 1:
            self._pulling[what] = peering.me
            self._make(peering.me, what, peering.record.lacks[what].need, self._made_here)
        elif sources:
            self._pulling[what] = sources[0]
            self.send(sources[0], Pull(epoch=peering.view.epoch, object=what))
        return True

    def _lacked_by(self, what: HObject) -> set[int]:
        """The copies that want the object pushed, when it is here."""
        peering = self.peering
        if what in peering.record.lacks:
            return set()
        return {osd for osd in peering.copies if what in peering.lacks.get(osd, ())}

    def _done(self, what: HObject) -> None:
        """One object less is under way."""
        self.allowance.give((id(self), what))

    def ask_back(self, osd: int, what: HObject, then: Callable[[Copy], None]) -> None:
        """Ask a copy for whatever version it has of an object that nobody has as it ought to be."""
        self.asked_back[what] = then
        self.send(osd, Pull(epoch=self.peering.view.epoch, object=what))

    def _give(self, osd: int, what: HObject) -> None:
        """Answer a pull; one who cannot read the object says that it is not there."""
        copy = self.objects.find_copy(what)
        self.send_copy(osd, copy or Copy(what, EVersion(), exists=False))

    def _on_push(self, source: int, copy: Copy) -> None:
        asked_back = self.asked_back.pop(copy.object, None)
        if asked_back is not None:
            asked_back(copy)
            return
        life = self._life
        record = self.peering.record
        wanted = record.lacks.get(copy.object)
        if self.peering.is_primary and (wanted is None or copy.version != wanted.need):
            if self._pulling.pop(copy.object, None) is not None:
                self._done(copy.object)
            if wanted is not None:  # it has not got it either: ask the next one
                self.peering.lacks.setdefault(source, {})[copy.object] = wanted
                self._todo.appendleft(copy.object)
                self._go_on()
            return
        record.lacks.pop(copy.object, None)

        def kept() -> None:
            if life != self._life:
                return
            if self.peering.is_primary:
                self._pulling.pop(copy.object, None)
                self._push(copy.object)
                self.objects.free(copy.object)
                self._go_on()
            else:
                epoch = self.peering.view.epoch
                self.send(source, PushReply(epoch=epoch, object=copy.object))

        self.objects.put_copy(copy, kept)

    def _push(self, what: HObject) -> None:
        to = self._lacked_by(what)
        if not to:
            self._done(what)
            return
        peering = self.peering
        if peering.view.k > 1:
            self._pushing[what] = set(to)
            for osd in sorted(to):
                self._make(osd, what, peering.lacks[osd][what].need, self._made_for)
            return
        copy = self.objects.find_copy(what)
        if copy is None:  # our own cannot be read: have it made anew from another's
            self.mark_lost(peering.me, what, peering.lacks[min(to)][what].need)
            self._done(what)
            self._recover(what, urgent=True)
            return
        self._pushing[what] = set(to)
        for osd in sorted(to):
            self.send_copy(osd, copy)

    def _on_push_reply(self, source: int, what: HObject) -> None:
        filling = self._filling.get(source)
        if filling is not None and filling.pushed(what):
            return
        self.peering.lacks.get(source, {}).pop(what, None)
        if filling is not None:
            filling.note()
        waiting = self._pushing.get(what)
        if waiting is None:
            return
        waiting.discard(source)
        if not waiting:
            del self._pushing[what]
            self._done(what)
            self.objects.free(what)
            self._go_on()

    # -- shards

    def _make(
        self, osd: int, what: HObject, version: EVersion, then: Callable[[int, Copy], None]
    ) -> None:
        life = self._life

        def made(copy: Copy | None) -> None:
            if life == self._life:
                then(osd, copy or Copy(what, EVersion(), exists=False))

        self.objects.make_copy(osd, what, version, made)

    def _made_here(self, osd: int, copy: Copy) -> None:
        if copy.exists:
            self._on_push(osd, copy)
        else:
            self._pulling.pop(copy.object, None)
            self._done(copy.object)
            self._go_on()

    def _made_for(self, osd: int, copy: Copy) -> None:
        if copy.exists:
            self.send_copy(osd, copy)
            return
        waiting = self._pushing.get(copy.object, set())
        waiting.discard(osd)
        if not waiting:
            self._pushing.pop(copy.object, None)
            self._done(copy.object)
            self._go_on()

    # -- by comparing (`filling.Owner`)

    @property
    def may_fill(self) -> bool:
        """Whether it is the group's turn."""
        mine = self.claim.kind == Kind.FILL and self.claim.is_held
        return mine and not self.peering.record.lacks

    def send(self, osd: int, message: Message) -> None:
        """To a copy."""
        self.peering.outside.send(osd, message)

    def send_copy(self, osd: int, copy: Copy) -> None:
        """An object, to a copy."""
        self.send(osd, Push(epoch=self.peering.view.epoch, copy=copy))

    def make_to_fill(self, osd: int, what: HObject, version: EVersion) -> None:
        """What a shard ought to have."""

        def made(_: int, copy: Copy) -> None:
            self._filling[osd].made(copy)

        self._make(osd, what, version, made)

    def unreadable(self, osd: int, what: HObject, version: EVersion) -> None:
        """Our own copy cannot be read: bring it to both."""
        self.mark_lost(self.peering.me, what, version)
        self.mark_lost(osd, what, version)
        self._recover(what, urgent=True)

    def sent_all(self) -> None:
        """To a copy: others may have the places while the last of it is on its way."""
        self._go_on()

    def filled(self, osd: int) -> None:
        """A copy has all: more can be made of it."""
        del self._filling[osd]
        self._look_again()

    def _on_scan(self, source: int, message: Scan) -> None:
        if self.allowance.rules.is_full:
            self.claim.refuse(source)
            return
        objects, end = self.objects.scan(message.first, message.limit)
        epoch = self.peering.view.epoch
        self.send(source, Scanned(epoch=epoch, first=message.first, end=end, objects=objects))

    def _on_backfilled(self, source: int, message: Backfilled) -> None:
        life = self._life

        def kept() -> None:
            if life == self._life:
                epoch, end = self.peering.view.epoch, message.last_backfill
                self.send(source, BackfilledReply(epoch=epoch, last_backfill=end))

        self.objects.fill_to(message.last_backfill, kept)

    # -- the end

    def _tell_if_clean(self) -> None:
        peering = self.peering
        if not self.is_done or self._told_clean:
            return
        self._told_clean = True
        view = peering.view
        if view.acting != view.up:
            wanted = choosing.settled(view)
            if wanted != view.acting:
                peering.outside.want_acting(() if wanted == view.up else wanted)
            return
        if len(view.acting) < view.size:
            return
        peering.set_clean()
        for osd in sorted(set(peering.infos) - set(peering.copies)):
            self.tell_if_spare(osd)

    def tell_if_spare(self, osd: int) -> None:
        """A copy that is not one of the group's may go once all of those are whole."""
        view = self.peering.view
        whole = self._told_clean and view.acting == view.up and len(view.acting) >= view.size
        if whole and osd in view.alive and osd not in (*view.up, *view.acting):
            self.send(osd, Forget(epoch=view.epoch))
