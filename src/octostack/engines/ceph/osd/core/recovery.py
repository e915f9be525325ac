# SPDX-License-Identifier: Apache-2.0
"""Bringing every copy what it lacks, once all agree on the log; runs on the primary.

* What the primary lacks it pulls from a copy that has it; what another copy lacks it pushes.
  A request for an object that some copy lacks waits until that object is everywhere.
* A copy that the log does not reach back to is filled in the order of objects: the primary
  compares a range of its own objects with the copy's, pushes what differs, and moves on.
  Changes go to it up to where it has come; the range at work takes none meanwhile.

How many objects are under way, and how many bytes of them, is bounded for the whole OSD
(`allowance`), so memory stays bounded however much there is to do.
"""

from collections import deque
from collections.abc import Callable

import msgspec

from octostack.engines.ceph.osd.core import choosing
from octostack.engines.ceph.osd.core.allowance import Allowance
from octostack.engines.ceph.osd.core.objects import Objects
from octostack.engines.ceph.osd.core.peering import Peering
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
from octostack.wire.ceph.objects import HOBJECT_MIN, EVersion, HObject

RANGE = 16


class _Filling(msgspec.Struct):
    """A copy that is being filled: all before `done` is there, up to `end` is under way."""

    done: HObject = HOBJECT_MIN
    end: HObject = HOBJECT_MIN
    mine: dict[HObject, EVersion] = {}  # of the range at work
    todo: list[HObject] = []
    pushing: set[HObject] = set()
    remove: list[HObject] = []
    passed: int = 0  # objects before `done`
    begun: bool = False
    noting: bool = False


class Recovery:
    """See the module's essay."""

    def __init__(self, peering: Peering, objects: Objects, allowance: Allowance) -> None:
        self._peering = peering
        self._objects = objects
        self._allowance = allowance
        self._todo: deque[HObject] = deque()  # that some copy may lack, in order
        self._pulling: dict[HObject, int] = {}  # from whom
        self._pushing: dict[HObject, set[int]] = {}
        self._filling: dict[int, _Filling] = {}
        self._running = False
        self._told_clean = False
        self._life = 0

    def stop(self) -> None:
        """The interval is over."""
        self._running = self._told_clean = False
        self._life += 1
        self._allowance.leave(self)
        self._todo.clear()
        moving, filling = {*self._pulling, *self._pushing}, self._filling
        self._pulling, self._pushing, self._filling = {}, {}, {}
        for what in moving:
            self._done(what)
        for osd, one in filling.items():
            for what in one.pushing:
                self._done(what, osd)

    def begin(self) -> None:
        """All agree: begin."""
        self._running = True
        self._filling = {osd: _Filling() for osd in self._peering.choice.backfill}
        self._look_again()

    def sources_changed(self, lost: set[int]) -> None:
        """Ask others for what these were asked for."""
        for what in [what for what, osd in self._pulling.items() if osd in lost]:
            del self._pulling[what]
            self._done(what)
        self._look_again()

    def mark_lost(self, osd: int, what: HObject, version: EVersion) -> None:
        """What a copy has of the object is not what it ought to have; see `again`."""
        peering = self._peering
        lacks = peering.lacks.setdefault(osd, {}) if osd != peering.me else peering.record.lacks
        lacks[what] = Need(version, EVersion())

    def again(self) -> None:
        """Something was marked as lost: bring it."""
        self._told_clean = False
        self._peering.outside.keep([])
        self._look_again()

    @property
    def is_done(self) -> bool:
        """Whether no copy lacks anything."""
        peering = self._peering
        lacks = (peering.lacks.get(osd) for osd in peering.copies)
        return self._running and not (self._filling or peering.record.lacks or any(lacks))

    @property
    def is_filling(self) -> bool:
        """Whether copies are being filled from the beginning."""
        return bool(self._filling)

    def filled(self) -> dict[int, int]:
        """How many objects each copy that is being filled has by now."""
        return {osd: filling.passed for osd, filling in self._filling.items()}

    def unfound(self) -> int:
        """How many objects nobody who is there has."""
        k = self._peering.view.k
        return sum(len(self._sources(what)) < k for what in self._peering.record.lacks)

    def who_has(self, what: HObject) -> list[int]:
        """Shards of which we know that they have the object as it ought to be, our own first."""
        peering = self._peering
        mine = [] if what in peering.record.lacks else [peering.me]
        rest = [osd for osd in self._sources(what) if self._is_known(osd)]
        return mine + [osd for osd in rest if peering.infos[osd].is_complete]

    def must_wait(self, what: HObject, writes: bool) -> bool:
        """Whether a request for the object has to wait; what it waits for comes first."""
        peering = self._peering
        if what in peering.record.lacks:
            self._recover(what, urgent=True)
            return True
        if peering.view.k > 1 and len(self.who_has(what)) < peering.view.k:
            self._recover(what)
            return True
        if not writes:
            return False
        if any(what in peering.lacks.get(osd, ()) for osd in peering.copies):
            self._recover(what, urgent=True)
            return True
        key = what.sort_key()
        return any(f.done.sort_key() <= key < f.end.sort_key() for f in self._filling.values())

    def takes(self, osd: int, what: HObject) -> bool:
        """Whether a change of the object is for this copy, or too far on in one being filled."""
        filling = self._filling.get(osd)
        return filling is None or what.sort_key() < filling.done.sort_key()

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
                self._on_scanned(source, message)
            case Backfilled():
                self._on_backfilled(source, message)
            case BackfilledReply():
                self._on_noted(source)
            case _:
                return False
        return True

    # -- by the log

    def _lacking(self) -> set[HObject]:
        peering = self._peering
        found = set(peering.record.lacks)
        for osd in peering.copies:
            found.update(peering.lacks.get(osd, ()))
        return found

    def _look_again(self) -> None:
        """What there is to do, from the beginning."""
        if self._running:
            self._todo = deque(sorted(self._lacking(), key=HObject.sort_key))
            self._go_on()

    def _go_on(self) -> None:
        if not self._running:
            return
        while self._todo:
            if not self._recover(self._todo[0]):
                self._allowance.wait(self, self._go_on)
                return
            if self._todo:
                self._todo.popleft()
        if not self._peering.record.lacks:
            for osd, filling in self._filling.items():
                if not filling.begun:
                    self._scan(osd)
        self._tell_if_clean()

    def _recover(self, what: HObject, *, urgent: bool = False) -> bool:
        """Begin, if there is anything to do; False when it has to wait."""
        if not self._running or what in self._pulling or what in self._pushing:
            return True
        peering = self._peering
        is_here = what not in peering.record.lacks
        sources = [] if is_here else self._sources(what)
        if not sources and not self._lacked_by(what):
            return True
        size = self._objects.size_of(what)
        if not self._allowance.take((id(self), what), size, urgent=urgent):
            return False
        if is_here:
            self._push(what)
        elif peering.view.k > 1:
            self._pulling[what] = peering.me
            self._make(peering.me, what, peering.record.lacks[what].need, self._made_here)
        elif sources:
            self._pulling[what] = sources[0]
            self._send(sources[0], Pull(epoch=peering.view.epoch, object=what))
        return True

    def _lacked_by(self, what: HObject) -> set[int]:
        """The copies that want the object pushed, when it is here."""
        peering = self._peering
        if what in peering.record.lacks:
            return set()
        return {osd for osd in peering.copies if what in peering.lacks.get(osd, ())}

    def _done(self, what: HObject, osd: int = -1) -> None:
        """One object less is under way."""
        self._allowance.give((id(self), what) if osd < 0 else (id(self), what, osd))

    def _sources(self, what: HObject) -> list[int]:
        """Who may have the object, the likeliest first."""
        peering = self._peering
        sources = [osd for osd in sorted(peering.infos) if self._may_have(osd, what)]
        sources.sort(key=lambda osd: (not self._is_known(osd), osd not in peering.copies))
        return sources

    def _may_have(self, osd: int, what: HObject) -> bool:
        """Whether it is worth asking the copy; one that has another version is asked but once."""
        peering = self._peering
        return osd in peering.view.alive and what not in peering.lacks.get(osd, ())

    def _is_known(self, osd: int) -> bool:
        """Whether we know what the copy lacks; of one that is to be filled we do not."""
        return osd in self._peering.lacks and osd not in self._peering.choice.backfill

    def _send_copy(self, osd: int, copy: Copy) -> None:
        self._send(osd, Push(epoch=self._peering.view.epoch, copy=copy))

    def _give(self, osd: int, what: HObject) -> None:
        """Answer a pull; one who cannot read the object says that it is not there."""
        copy = self._objects.find_copy(what)
        self._send_copy(osd, copy or Copy(what, EVersion(), exists=False))

    def _on_push(self, source: int, copy: Copy) -> None:
        life = self._life
        record = self._peering.record
        wanted = record.lacks.get(copy.object)
        if self._peering.is_primary and (wanted is None or copy.version != wanted.need):
            if self._pulling.pop(copy.object, None) is not None:
                self._done(copy.object)
            if wanted is not None:  # it has not got it either: ask the next one
                self._peering.lacks.setdefault(source, {})[copy.object] = wanted
                self._todo.appendleft(copy.object)
                self._go_on()
            return
        record.lacks.pop(copy.object, None)

        def kept() -> None:
            if life != self._life:
                return
            if self._peering.is_primary:
                self._pulling.pop(copy.object, None)
                self._push(copy.object)
                self._objects.free(copy.object)
                self._go_on()
            else:
                epoch = self._peering.view.epoch
                self._send(source, PushReply(epoch=epoch, object=copy.object))

        self._objects.put_copy(copy, kept)

    def _push(self, what: HObject) -> None:
        to = self._lacked_by(what)
        if not to:
            self._done(what)
            return
        peering = self._peering
        if peering.view.k > 1:
            self._pushing[what] = set(to)
            for osd in sorted(to):
                self._make(osd, what, peering.lacks[osd][what].need, self._made_for)
            return
        copy = self._objects.find_copy(what)
        if copy is None:  # our own cannot be read: have it made anew from another's
            self.mark_lost(peering.me, what, peering.lacks[min(to)][what].need)
            self._done(what)
            self._recover(what, urgent=True)
            return
        self._pushing[what] = set(to)
        for osd in sorted(to):
            self._send_copy(osd, copy)

    def _on_push_reply(self, source: int, what: HObject) -> None:
        filling = self._filling.get(source)
        if filling is not None and what in filling.pushing:
            filling.pushing.discard(what)
            self._done(what, source)
            self._fill(source, filling)
            return
        self._peering.lacks.get(source, {}).pop(what, None)
        waiting = self._pushing.get(what)
        if waiting is None:
            return
        waiting.discard(source)
        if not waiting:
            del self._pushing[what]
            self._done(what)
            self._objects.free(what)
            self._go_on()

    # -- shards

    def _make(
        self, osd: int, what: HObject, version: EVersion, then: Callable[[int, Copy], None]
    ) -> None:
        life = self._life

        def made(copy: Copy | None) -> None:
            if life == self._life:
                then(osd, copy or Copy(what, EVersion(), exists=False))

        self._objects.make_copy(osd, what, version, made)

    def _made_here(self, osd: int, copy: Copy) -> None:
        if copy.exists:
            self._on_push(osd, copy)
        else:
            self._pulling.pop(copy.object, None)
            self._done(copy.object)

    def _made_for(self, osd: int, copy: Copy) -> None:
        if copy.exists:
            self._send_copy(osd, copy)
            return
        waiting = self._pushing.get(copy.object, set())
        waiting.discard(osd)
        if not waiting:
            self._pushing.pop(copy.object, None)
            self._done(copy.object)

    def _made_to_fill(self, osd: int, copy: Copy) -> None:
        if copy.exists:
            self._send_copy(osd, copy)
            return
        filling = self._filling[osd]
        filling.pushing.discard(copy.object)
        self._done(copy.object, osd)
        self.mark_lost(osd, copy.object, filling.mine[copy.object])
        self._fill(osd, filling)

    # -- by comparing

    def _scan(self, osd: int) -> None:
        filling = self._filling[osd]
        filling.begun = True
        filling.mine, filling.end = self._objects.scan(filling.done, RANGE)
        first = filling.done
        self._send(osd, Scan(epoch=self._peering.view.epoch, first=first, limit=RANGE))

    def _on_scan(self, source: int, message: Scan) -> None:
        objects, end = self._objects.scan(message.first, message.limit)
        epoch = self._peering.view.epoch
        self._send(source, Scanned(epoch=epoch, first=message.first, end=end, objects=objects))

    def _on_scanned(self, source: int, message: Scanned) -> None:
        filling = self._filling.get(source)
        if filling is None or message.first != filling.done:
            return
        if message.end.sort_key() < filling.end.sort_key():
            filling.end = message.end
        end = filling.end.sort_key()
        mine = {what: at for what, at in filling.mine.items() if what.sort_key() < end}
        theirs = {what: at for what, at in message.objects.items() if what.sort_key() < end}
        filling.todo = [what for what, at in mine.items() if theirs.get(what) != at]
        filling.remove = [what for what in theirs if what not in mine]
        self._fill(source, filling)

    def _fill(self, osd: int, filling: _Filling) -> None:
        while filling.todo:
            what = filling.todo[0]
            size = self._objects.size_of(what)
            if not self._allowance.take((id(self), what, osd), size):
                self._allowance.wait((id(self), osd), lambda: self._fill_on(osd, filling))
                return
            filling.todo.pop(0)
            if self._peering.view.k > 1:
                filling.pushing.add(what)
                self._make(osd, what, filling.mine[what], self._made_to_fill)
                continue
            copy = self._objects.find_copy(what)
            if copy is None:
                version = filling.mine[what]
                self.mark_lost(self._peering.me, what, version)
                self.mark_lost(osd, what, version)
                self._done(what, osd)
                self._recover(what, urgent=True)
                continue
            filling.pushing.add(what)
            self._send_copy(osd, copy)
        if not filling.todo and not filling.pushing and not filling.noting:
            filling.noting = True
            epoch = self._peering.view.epoch
            remove = filling.remove
            self._send(osd, Backfilled(epoch=epoch, last_backfill=filling.end, remove=remove))

    def _fill_on(self, osd: int, filling: _Filling) -> None:
        if self._filling.get(osd) is filling:
            self._fill(osd, filling)

    def _on_backfilled(self, source: int, message: Backfilled) -> None:
        life = self._life

        def kept() -> None:
            if life == self._life:
                epoch, end = self._peering.view.epoch, message.last_backfill
                self._send(source, BackfilledReply(epoch=epoch, last_backfill=end))

        self._objects.fill_to(message.last_backfill, message.remove, kept)

    def _on_noted(self, source: int) -> None:
        filling = self._filling.get(source)
        if filling is None:
            return
        filling.done, filling.noting = filling.end, False
        end = filling.done.sort_key()
        filling.passed += sum(what.sort_key() < end for what in filling.mine)
        filling.mine, filling.remove = {}, []
        if filling.done.is_max:
            del self._filling[source]
        else:
            self._scan(source)
        self._objects.free_all()
        self._go_on()

    # -- the end

    def _tell_if_clean(self) -> None:
        peering = self._peering
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
        view = self._peering.view
        whole = self._told_clean and view.acting == view.up and len(view.acting) >= view.size
        if whole and osd in view.alive and osd not in (*view.up, *view.acting):
            self._send(osd, Forget(epoch=view.epoch))

    def _send(self, osd: int, message: Message) -> None:
        self._peering.outside.send(osd, message)
