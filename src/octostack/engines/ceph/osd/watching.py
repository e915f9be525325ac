# SPDX-License-Identifier: Apache-2.0
"""Who watches the objects of a group, and the notifies under way.

An object's info tells durably who watches it; here stands over which connection, and until when a
watcher that is not heard of is waited for. A notify ends when each watcher has answered or its
time is up, and then tells the notifier who said what. Times are seconds of a monotonic clock.
"""

from collections.abc import Iterable

import msgspec

from octostack.engines.ceph.osd.ops.context import Notify, NotifyAck
from octostack.engines.ceph.osd.ops.state import Watcher
from octostack.engines.ceph.osd.requests import Session, WatchEvent
from octostack.wire.ceph.codec import Writer
from octostack.wire.ceph.objects import HObject

NOTIFY, COMPLETE, DISCONNECT = 1, 2, 3
_TIMED_OUT = -110
_Key = tuple[int, int]  # client, cookie


class _Watch(msgspec.Struct):
    watcher: Watcher
    session: Session | None
    until: float


class _Notified(msgspec.Struct):
    object: HObject
    cookie: int
    session: Session
    until: float
    id: int
    payload: bytes
    waiting: set[_Key]
    answers: dict[_Key, bytes]


class Watching:
    """The watches and notifies of one group."""

    def __init__(self) -> None:
        self._watches: dict[HObject, dict[_Key, _Watch]] = {}
        self._notifies: dict[int, _Notified] = {}

    def list_watchers(self) -> list[tuple[HObject, list[Watcher]]]:
        """Who watches which object."""
        return [
            (what, [watch.watcher for watch in watches.values()])
            for what, watches in self._watches.items()
        ]

    def load(self, what: HObject, watchers: Iterable[Watcher], now: float) -> None:
        """Those an object's info names are waited for, once, until they reconnect."""
        if what in self._watches:
            return
        for one in watchers:
            watch = _Watch(one, None, now + one.timeout_s)
            self._watches.setdefault(what, {})[one.client, one.cookie] = watch

    def watch(self, what: HObject, watcher: Watcher, session: Session, now: float) -> None:
        """A watcher came, or let hear of itself; it hears of notifies that wait for it."""
        key = (watcher.client, watcher.cookie)
        known = self._watches.setdefault(what, {}).get(key)
        again = known is None or known.session is not session
        self._watches[what][key] = _Watch(watcher, session, now + watcher.timeout_s)
        if again and known is not None:
            for notified in self._notifies.values():
                if notified.object == what and key in notified.waiting:
                    _send(session, notified, watcher.cookie)

    def unwatch(self, what: HObject, watcher: Watcher, session: Session | None) -> None:
        """A watcher left, or was given up; notifies do not wait for it any more."""
        key = (watcher.client, watcher.cookie)
        here = self._watches.get(what, {})
        here.pop(key, None)
        if not here:
            self._watches.pop(what, None)
        for notified in list(self._notifies.values()):
            if notified.object == what and key in notified.waiting:
                notified.waiting.discard(key)
                self._finish(notified)

    def removed(self, what: HObject) -> None:
        """The object is gone: its watchers are told."""
        for watch in list(self._watches.get(what, {}).values()):
            if watch.session is not None:
                watch.session.send_notify(WatchEvent(DISCONNECT, watch.watcher.cookie))
            self.unwatch(what, watch.watcher, None)

    def notify(self, what: HObject, notify: Notify, session: Session, now: float) -> None:
        """Tell every watcher."""
        here = self._watches.get(what, {})
        notified = _Notified(
            what,
            notify.cookie,
            session,
            now + notify.timeout_s,
            notify.id,
            notify.payload,
            set(here),
            {},
        )
        self._notifies[notify.id] = notified
        for watch in list(here.values()):
            if watch.session is not None:
                _send(watch.session, notified, watch.watcher.cookie)
        self._finish(notified)

    def answer(self, ack: NotifyAck, client: int) -> None:
        """A watcher answered a notify."""
        notified = self._notifies.get(ack.notify_id)
        key = (client, ack.cookie)
        if notified is not None and key in notified.waiting:
            notified.waiting.discard(key)
            notified.answers[key] = ack.payload
            self._finish(notified)

    def disconnected(self, session: Session, now: float) -> None:
        """A connection is gone; its watchers have their timeout to come back."""
        for here in self._watches.values():
            for watch in here.values():
                if watch.session is session:
                    watch.session = None
                    watch.until = now + watch.watcher.timeout_s

    def expire(self, now: float) -> list[tuple[HObject, Watcher]]:
        """End notifies whose time is up; the watchers that were not heard of in time."""
        for notified in list(self._notifies.values()):
            if notified.until <= now:
                self._finish(notified, late=True)
        return [
            (what, watch.watcher)
            for what, here in self._watches.items()
            for watch in here.values()
            if watch.until <= now
        ]

    def forget(self) -> None:
        """The group is another OSD's now: clients go there by themselves."""
        self._watches.clear()
        self._notifies.clear()

    def _finish(self, notified: _Notified, *, late: bool = False) -> None:
        if notified.waiting and not late:
            return
        del self._notifies[notified.id]
        w = Writer()
        w.u32(len(notified.answers))
        for (client, cookie), answer in sorted(notified.answers.items()):
            w.u64(client)
            w.u64(cookie)
            w.bytes(answer)
        w.u32(len(notified.waiting))
        for client, cookie in sorted(notified.waiting):
            w.u64(client)
            w.u64(cookie)
        notified.session.send_notify(
            WatchEvent(
                COMPLETE,
                notified.cookie,
                notified.id,
                b"",
                _TIMED_OUT if notified.waiting else 0,
                notified.session.client,
                data=w.done(),
            )
        )


def _send(session: Session, notified: _Notified, cookie: int) -> None:
    session.send_notify(
        WatchEvent(NOTIFY, cookie, notified.id, notified.payload, 0, notified.session.client)
    )
