# SPDX-License-Identifier: Apache-2.0
"""A placement group as its primary serves it to clients.

A request is decided at once, on the state that all earlier requests have left, whether they are
durable yet or not. What must wait is only the answer: that of a write until its copies are
durable, that of a read (and of a write that failed) until the object's earlier writes are. So an
answer never tells what a crash could undo, writes to one object follow one another without
waiting, and no object needs a lock.

A request that was sent before (its id is in the log) is answered again and not done again.
"""

import errno
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import msgspec

from octostack.base import clock
from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.backend import Backend, snap_key, snaps_object
from octostack.engines.ceph.osd.core.log import ZERO, Entry, Kind
from octostack.engines.ceph.osd.core.shards.needs import NeedsData
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.ops import copying, interpreter, listing, snapshots
from octostack.engines.ceph.osd.ops.context import Notify, NotifyAck, OpContext, Place, WatchChange
from octostack.engines.ceph.osd.ops.failures import NeedsBytes, OpError
from octostack.engines.ceph.osd.ops.state import (
    INFO_ATTR,
    SNAPSET_ATTR,
    ObjectInfo,
    ObjectState,
    SnapSet,
    Watcher,
    decode_info,
    decode_snapset,
    encode_info,
    encode_snapset,
    missing_object,
    size_of,
)
from octostack.engines.ceph.osd.poolfacts import PoolFacts
from octostack.engines.ceph.osd.reading import Reading
from octostack.engines.ceph.osd.requests import (
    Op,
    OpReply,
    OpRequest,
    Reply,
    ReqId,
    Session,
)
from octostack.engines.ceph.osd.tally import Tally
from octostack.engines.ceph.osd.targets import Fetch, Targets
from octostack.engines.ceph.osd.watching import Watching
from octostack.wire.ceph.objects import (
    SNAP_DIR,
    SNAP_HEAD,
    EVersion,
    HObject,
)
from octostack.wire.ceph.opcodes import ON_GROUPS

STATES_MAX = 4096


class _Pending(msgspec.Struct):
    """A write that is not durable yet, and what waits for it."""

    head: HObject
    after: list[Callable[[], None]]


class Group:
    """See the module's essay, and `requests` for how to talk to it."""

    def __init__(
        self, place: Place, backend: Backend, pool: PoolFacts, fetch: Fetch | None = None
    ) -> None:
        self.place = place
        self.backend = backend
        self.pool = pool
        self.watching = Watching()
        self.tally = Tally(place.store, place.collection)
        self._targets = Targets(fetch)
        self._reading = Reading(place)
        self._states: dict[HObject, ObjectState] = {}
        self._busy: dict[HObject, _Pending] = {}
        self._notifies = 0
        self.user_version = backend.log.user_version

    # -- requests

    def submit(self, request: OpRequest, reply: Reply) -> None:
        """Do what a client asks; see `requests`."""
        self._submit(request, reply, {})

    def _submit(self, request: OpRequest, reply: Reply, sources: dict[Any, Any]) -> None:
        ops, head = request.ops, _head(request.object)

        def retry() -> None:
            self._submit(request, reply, sources)

        if ops and ops[0].code in ON_GROUPS:
            if not self.backend.blocks(None, False, retry):
                reply(self._list(request, ops[0]))
            return
        try:
            writes = interpreter.may_write(ops)
        except OpError as error:
            self._answer(head, reply, self._failed(request, -error.number))
            return
        # before it waits for anything: until it goes on, the log may have forgotten it
        known = self.backend.log.find_request(request.reqid) if writes else None
        if known is not None:
            again = OpReply(0, [b""] * len(ops), [0] * len(ops), known.version, known.user_version)
            self._answer(head, reply, again)
            return
        if not self._blocked(request, head, writes, retry):
            self._execute(request, reply, sources, writes)

    def forget(self, what: HObject) -> None:
        """The object was changed by others than clients."""
        self._states.pop(_head(what), None)

    def disconnected(self, session: Session) -> None:
        """A client's connection is gone."""
        self.watching.disconnected(session, clock.monotonic())

    def tick(self) -> None:
        """Give up watchers and notifies whose time is up; to be called every second or so."""
        for what, watcher in self.watching.expire(clock.monotonic()):
            self._drop_watcher(what, watcher)

    def trim(self, snap: int, key: bytes, clone: HObject, then: Callable[[], None]) -> bool:
        """Take a snapshot, which has this key in the index, from a clone; the clone goes with its
        last one, and with it a head that was only kept for its clones. False when the object must
        be waited for."""
        head, where = _head(clone), self.place.collection
        if self.backend.blocks(head, True, _do_nothing):
            return False
        state = self.state(head)
        found = next((c for c in state.snaps.clones if c.id == clone.snap), None)
        unlist = api.OmapRemove(where, snaps_object(where), [key])
        if found is None:  # the index of this copy is behind
            self.place.store.queue([[unlist]])
            then()
            return True
        changes: list[api.Change] = [unlist]
        entries: list[Entry] = []
        version = self._next_version(self.backend.log.head)
        info = copy(state.info)
        kept, gone = snapshots.without(state.snaps, found, {snap})
        old = self._info(clone) if gone else None
        if old is not None:
            changes.append(api.Remove(where, clone))
            self.tally.note(clone, old.size, None)
            entries.append(Entry(Kind.DELETE, clone, version, old.version))
            version = self._next_version(version)
        info.version, info.prior = version, state.info.version
        if state.visible or kept.clones:
            new = ObjectState(True, info, kept)
            changes.append(self._keep(head, new, with_snaps=True))
            entries.append(_entry(Kind.MODIFY, head, info, None))
        else:
            new = missing_object()
            changes.append(api.Remove(where, head))
            self.tally.note(head, size_of(state), None)
            entries.append(_entry(Kind.DELETE, head, info, None))
        self._states[head] = new
        self._commit(head, changes, entries, then)
        return True

    @property
    def idle(self) -> bool:
        """Whether all that was asked for is durable."""
        return not self._busy

    def state(self, head: HObject) -> ObjectState:
        """What is known of an object, as of the last request."""
        known = self._states.get(head)
        if known is None:
            known = self._load(head)
            if len(self._states) >= STATES_MAX:
                self._forget_states()
            self._states[head] = known
        return known

    def reset(self) -> None:
        """Forget what is only in memory: the group begins anew, or another OSD serves it."""
        self._states.clear()
        self._busy.clear()
        self._targets.forget()
        self._reading.forget()
        self.watching.forget()

    # -- one request

    def _blocked(
        self, request: OpRequest, head: HObject, writes: bool, retry: Callable[[], None]
    ) -> bool:
        """Whether the object, or a clone that may be looked at, is not here as it ought to be."""
        backend = self.backend
        if self._reading.holds(head, retry) or self._targets.holds(head, request, retry):
            return True
        if backend.blocks(head, writes, retry):
            return True
        try:
            clones = self.state(head).snaps.clones
        except Corrupt:
            return False  # that is for the request itself to find out
        return bool(clones) and any(
            backend.blocks(snapshots.snap_of(head, clone.id), writes, retry) for clone in clones
        )

    def _execute(
        self, request: OpRequest, reply: Reply, sources: dict[Any, Any], writes: bool
    ) -> None:
        ops, head = request.ops, _head(request.object)
        try:
            interpreter.require_room(self.place, ops, writes)
            ctx, state = self._context(request, writes)
        except OpError as error:
            failed = self._failed(request, -interpreter.failure(ops, error))
            self._answer(head, reply, failed)
            return
        except Corrupt:
            self._unreadable(head, request, reply, self._failed(request, -errno.EIO))
            return
        ctx.sources, ctx.may_stop = sources, not writes
        try:
            outcome = interpreter.run(ctx, ops)
            self.backend.prepare(ctx.changes, sources)
        except NeedsBytes as need:
            self._read_aside(request, reply, sources, need)
            return
        except copying.NeedsSource as need:
            self._get_source(request, reply, sources, need.source)
            return
        except NeedsData as need:
            self._get_data(request, reply, sources, need)
            return
        changed = ctx.changes or ctx.info_modified
        if outcome.result == -errno.EIO:
            failed = self._failed(request, -errno.EIO)
            self._unreadable(ctx.what, request, reply, failed)
            return
        if outcome.result < 0 or not changed:
            answer = OpReply(
                outcome.result, outcome.outputs, outcome.results, ZERO, ctx.info.user_version
            )
            self._answer(head, reply, answer)
            if outcome.result >= 0 and ctx.effects:
                self._take_effect(head, ctx, request.session)
            return
        interpreter.hide_outputs(outcome, request.flags)
        self._write(ctx, state, request, (outcome, reply))

    def _unreadable(self, what: HObject, request: OpRequest, reply: Reply, failed: OpReply) -> None:
        """Try again once the object has been mended; without another copy, say so."""
        if self.backend.mend(what):
            self.submit(request, reply)
        else:
            self._answer(_head(what), reply, failed)

    def _context(self, request: OpRequest, writes: bool) -> tuple[OpContext, ObjectState]:
        head, snap = _head(request.object), request.object.snap
        state = self.state(head)
        what: HObject | None = head
        if writes:
            if snap != SNAP_HEAD:
                raise OpError(errno.EINVAL)
        elif snap == SNAP_DIR:
            if not state.exists:
                raise OpError(errno.ENOENT)
        else:
            what = snapshots.resolve(head, state, snap)
        if what is None:
            raise OpError(errno.ENOENT)
        shown = state
        if what.snap != SNAP_HEAD:
            shown = ObjectState(True, self._info(what) or ObjectInfo(), state.snaps)
        ctx = OpContext(self.place, what, shown, request, int(clock.now() * 1e9))
        ctx.append_bytes = self.pool.append_bytes
        # the log may have come from others, with changes of objects that are gone
        self.user_version = max(
            self.user_version, self.backend.log.user_version, state.info.user_version
        )
        ctx.next_user_version = self.user_version + 1
        self._notifies += 1
        ctx.notify_id = self.backend.epoch << 32 | self._notifies & 0xFFFFFFFF
        return ctx, state

    def _write(
        self,
        ctx: OpContext,
        state: ObjectState,
        request: OpRequest,
        answer: tuple[interpreter.Result, Reply],
    ) -> None:
        outcome, reply = answer
        head, where = ctx.what, self.place.collection
        version = self._next_version(self.backend.log.head)
        seq, snaps = self._snap_context(request)
        changes: list[api.Change] = []
        entries: list[Entry] = []
        cloned = snapshots.plan_clone(head, state, snaps, version, where)
        if cloned is not None:
            changes += cloned.changes
            changes.append(self._index_snaps(cloned.object, cloned.snaps))
            entries.append(_entry(Kind.CLONE, cloned.object, cloned.info, None))
            version = self._next_version(version)
        snapset = state.snaps
        if cloned or seq > snapset.seq or (snapset.clones and ctx.dirty):
            snapset = snapshots.after_write(snapset, cloned, seq, ctx.dirty)
        if ctx.user_modified:
            self.user_version += 1
            ctx.info.user_version = self.user_version
            ctx.info.mtime = request.mtime or ctx.now
        info = ctx.info
        info.version, info.prior, info.reqid = version, state.info.version, request.reqid
        changes += ctx.changes
        new = ObjectState(ctx.exists or bool(snapset.clones), info, snapset)
        info.whiteout = new.exists and not ctx.exists
        kind = Kind.MODIFY if new.exists else Kind.DELETE
        if new.exists:
            changes.append(self._keep(head, new, ctx.wiped or snapset is not state.snaps))
        entries.append(_entry(kind, head, info, request.reqid))
        self._states[head] = new if new.exists else missing_object()
        result = OpReply(
            outcome.result, outcome.outputs, outcome.results, version, info.user_version
        )
        self._commit(head, changes, entries, lambda: self._written(head, ctx, result, reply))
        if cloned is not None:
            self.tally.note(cloned.object, None, state.info.size)
        self.tally.note(head, size_of(state), size_of(new))

    def _commit(
        self,
        head: HObject,
        changes: list[api.Change],
        entries: list[Entry],
        then: Callable[[], None],
    ) -> None:
        pending = _Pending(head, [then])
        self._busy[head] = pending
        self.backend.commit(changes, entries, lambda: self._durable(pending))

    def _durable(self, pending: _Pending) -> None:
        if self._busy.get(pending.head) is pending:
            del self._busy[pending.head]
        for then in pending.after:
            then()

    def _written(self, head: HObject, ctx: OpContext, result: OpReply, reply: Reply) -> None:
        reply(result)
        if ctx.effects:
            self._take_effect(head, ctx, ctx.request.session)
        if not ctx.exists:
            self.watching.removed(head)

    def _answer(self, head: HObject, reply: Reply, answer: OpReply) -> None:
        """Reply once the object's earlier writes are durable."""
        busy = self._busy.get(head)
        if busy is None:
            reply(answer)
        else:
            busy.after.append(lambda: reply(answer))

    def _take_effect(self, head: HObject, ctx: OpContext, session: Session) -> None:
        now = clock.monotonic()
        for effect in ctx.effects:
            match effect:
                case WatchChange(watcher, gone=False):
                    self.watching.watch(head, watcher, session, now)
                case WatchChange(watcher):
                    self.watching.unwatch(head, watcher, session)
                case Notify():
                    self.watching.notify(head, effect, session, now)
                case NotifyAck():
                    self.watching.answer(effect, session.client)

    def _drop_watcher(self, head: HObject, watcher: Watcher) -> None:
        state = self.state(head)
        left = [w for w in state.info.watchers if w != watcher]
        self.watching.unwatch(head, watcher, None)
        if not state.visible or left == state.info.watchers:
            return
        info = copy(state.info)
        info.watchers, info.prior = left, state.info.version
        info.version = self._next_version(self.backend.log.head)
        new = ObjectState(True, info, state.snaps)
        self._states[head] = new
        keep = self._keep(head, new, with_snaps=False)
        self._commit(head, [keep], [_entry(Kind.MODIFY, head, info, None)], lambda: None)

    def _read_aside(
        self, request: OpRequest, reply: Reply, sources: dict[Any, Any], need: NeedsBytes
    ) -> None:
        def go_on(found: Any) -> None:
            self._execute(request, reply, {**sources, need.key: found}, False)

        self._reading.start(_head(request.object), need, go_on)

    def _get_data(
        self, request: OpRequest, reply: Reply, sources: dict[Any, Any], need: NeedsData
    ) -> None:
        def go_on(found: Mapping[Any, Any] | None) -> None:
            if found is None:
                self._answer(_head(request.object), reply, self._failed(request, -errno.EIO))
            else:
                writes = interpreter.may_write(request.ops)
                self._execute(request, reply, {**sources, **found}, writes)

        self.backend.fetch(need, go_on)

    def _get_source(
        self,
        request: OpRequest,
        reply: Reply,
        sources: dict[Any, Any],
        source: copying.Source,
    ) -> None:
        head = _head(request.object)
        if self._targets.fetch is None:
            self._answer(head, reply, self._failed(request, -errno.EOPNOTSUPP))
            return

        def go_on(fetched: copying.Fetched) -> None:
            self._submit(request, reply, {**sources, source: fetched})

        self._targets.fill(head, source, go_on)

    # -- listing

    def _list(self, request: OpRequest, op: Op) -> OpReply:
        def visible(what: HObject) -> bool:
            return self.state(what).visible

        group = listing.Group(self.place.store, self.place.collection, self.pool.pg_num, visible)
        result, output = listing.answer(group, op, request.object.namespace)
        if result < 0:
            return self._failed(request, result)
        return OpReply(result, [output], [result], ZERO, self.user_version)

    # -- what the store has

    def _load(self, head: HObject) -> ObjectState:
        store, where = self.place.store, self.place.collection
        if not store.exists(where, head):
            return missing_object()
        attrs = store.attrs(where, head)
        info, snaps = decode_info(attrs.get(INFO_ATTR, b"")), attrs.get(SNAPSET_ATTR)
        self.watching.load(head, info.watchers, clock.monotonic())
        return ObjectState(True, info, decode_snapset(snaps) if snaps else SnapSet())

    def _info(self, what: HObject) -> ObjectInfo | None:
        data = api.find_attr(self.place.store, self.place.collection, what, INFO_ATTR)
        return decode_info(data) if data else None

    def _keep(self, head: HObject, state: ObjectState, with_snaps: bool) -> api.SetAttrs:
        attrs = {INFO_ATTR: encode_info(state.info)}
        if with_snaps:
            attrs[SNAPSET_ATTR] = encode_snapset(state.snaps)
        return api.SetAttrs(self.place.collection, head, attrs)

    def _index_snaps(self, clone: HObject, snaps: list[int]) -> api.Change:
        where = self.place.collection
        keys = {snap_key(snap, clone): b"" for snap in snaps}
        return api.OmapSet(where, snaps_object(where), keys)

    def _snap_context(self, request: OpRequest) -> tuple[int, list[int]]:
        if self.pool.own_snaps:
            return self.pool.snap_seq, list(self.pool.snaps)
        removed = self.pool.removed_snaps
        return request.snap_seq, [snap for snap in request.snaps if snap not in removed]

    def _next_version(self, last: EVersion) -> EVersion:
        return EVersion(self.backend.epoch, last.version + 1)

    def _failed(self, request: OpRequest, result: int) -> OpReply:
        count = len(request.ops)
        return OpReply(result, [b""] * count, [0] * count, ZERO, self.user_version)

    def _forget_states(self) -> None:
        for head in [head for head in self._states if head not in self._busy][: STATES_MAX // 2]:
            del self._states[head]


def _do_nothing() -> None:
    pass


def _head(what: HObject) -> HObject:
    return what if what.snap == SNAP_HEAD else snapshots.snap_of(what, SNAP_HEAD)


def _entry(kind: Kind, what: HObject, info: ObjectInfo, reqid: ReqId | None) -> Entry:
    return Entry(kind, what, info.version, info.prior, reqid, info.mtime, info.user_version)
