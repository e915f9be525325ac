# SPDX-License-Identifier: Apache-2.0
"""Objects of a group that nobody who is there has, and what an operator may do about them.

Each is deleted, or becomes what it was in the newest version that somebody has. That is a change
like any other, with an entry of its own in the log: who comes back with what was given up learns
that it is out of date. It is only done when everybody who might have the object was asked, or given
up (`osd lost`).
"""

import errno
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.osd import contents
from octostack.engines.ceph.osd.core.log import ZERO, Entry, Kind, Log
from octostack.engines.ceph.osd.core.members import osd_of, shard_of
from octostack.engines.ceph.osd.core.peering import Peering
from octostack.engines.ceph.osd.core.recovery import Recovery
from octostack.engines.ceph.osd.core.values import Copy, Lacks, Need, RepOp
from octostack.engines.ceph.osd.group import Group
from octostack.engines.ceph.osd.ops.context import Place
from octostack.engines.ceph.osd.ops.state import INFO_ATTR, decode_info, encode_info
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.objects import EVersion, HObject, ShardPG

SHOWN_MAX = 256
Done = Callable[[int], None]  # 0 or a negative errno


class Owner(Protocol):
    """The copy, which is its group's primary."""

    me: int
    place: Place
    peering: Peering
    recovery: Recovery
    group: Group

    @property
    def log(self) -> Log:
        """What was changed."""

    def write(
        self, message: Callable[[int], RepOp], entries: list[Entry], done: Callable[[], None]
    ) -> None:
        """Make a change at all copies."""

    def find_copy(self, what: HObject) -> Copy | None:
        """An object as it is here."""

    def replaced(self, what: HObject) -> None:
        """What is remembered of the object is out of date."""

    def free(self, what: HObject) -> None:
        """Whoever waits for this object may go on."""


class Losing:
    """Gives up the objects that are unfound."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._left: Lacks = {}
        self._done: Done | None = None

    @property
    def is_running(self) -> bool:
        """Whether some are being given up."""
        return self._done is not None

    def stop(self) -> None:
        """The interval is over."""
        done, self._done = self._done, None
        self._left.clear()
        self._owner.recovery.asked_back.clear()
        if done is not None:
            done(-errno.EAGAIN)

    def begin(self, *, revert: bool, done: Done) -> None:
        """Delete them, or `revert` those of which somebody has an older version; `done` is called
        when that is durable everywhere."""
        assert not self.is_running
        self._left, self._done = self._owner.recovery.finding.list_unfound(), done
        for what in sorted(self._left, key=HObject.sort_key):
            self._try_next(what, self._list_older(what) if revert else [])

    def _list_older(self, what: HObject) -> list[int]:
        """Copies with older versions, the newest first, our own before others."""
        owner = self._owner
        lacks = {one: owner.peering.lacks.get(one, {}) for one in owner.peering.copies}
        lacks[owner.me] = owner.peering.record.lacks
        have = {one: theirs[what].have for one, theirs in lacks.items() if what in theirs}
        older = [one for one, version in have.items() if version > ZERO]
        return sorted(older, key=lambda one: (have[one], one == owner.me), reverse=True)

    def _try_next(self, what: HObject, older: list[int]) -> None:
        owner = self._owner
        if not older:
            self._write(what, None)
            return
        member, *rest = older

        def found(copy: Copy | None) -> None:
            if copy is not None and copy.exists:
                self._write(what, copy)
            else:
                self._try_next(what, rest)

        if member == owner.me:
            found(owner.find_copy(what))
        else:
            owner.recovery.ask_back(member, what, found)

    def _write(self, what: HObject, copy: Copy | None) -> None:
        """Make it that, or nothing, as a new version."""
        owner, peering = self._owner, self._owner.peering
        version = EVersion(peering.view.epoch, owner.log.head.version + 1)
        kind = Kind.LOST_DELETE if copy is None else Kind.LOST_REVERT
        entry = Entry(kind, what, version, self._left[what].need)
        made = Copy(what, version, exists=False) if copy is None else _renewed(copy, version)

        def message(member: int) -> RepOp:
            where = ShardPG(owner.place.collection.pg, shard_of(member))
            takes = owner.recovery.takes(member, what)
            changes = contents.changes_to(where, made) if takes else []
            return RepOp(epoch=peering.view.epoch, changes=changes, entries=[entry])

        store, where = owner.place.store, owner.place.collection
        before = store.size(where, what) if store.exists(where, what) else None
        owner.group.tally.note(what, before, made.size if made.exists else None)
        owner.replaced(what)
        for lacks in peering.lacks.values():
            lacks.pop(what, None)
        owner.write(message, [entry], lambda: self._written(what))

    def _written(self, what: HObject) -> None:
        self._left.pop(what, None)
        self._owner.free(what)
        if not self._left and self._done is not None:
            done, self._done = self._done, None
            self._owner.recovery.again()
            done(0)


def _renewed(copy: Copy, version: EVersion) -> Copy:
    """The same content as a newer version."""
    info = decode_info(copy.attrs[INFO_ATTR])
    info.version = version
    attrs = {**copy.attrs, INFO_ATTR: encode_info(info)}
    return msgspec.structs.replace(copy, version=version, attrs=attrs)


# Who might have them


def list_possible(owner: Owner) -> list[int]:
    """Copies that ever might have had what is unfound (might_have_unfound)."""
    peering = owner.peering
    view, past = peering.view, peering.record.past
    members = {one for interval in past for one in interval.acting}
    return sorted({*members, *view.up, *view.acting} - {owner.me})


def find_status(owner: Owner, member: int) -> str:
    """What became of the question to one of those, in Ceph's words."""
    peering = owner.peering
    info = peering.infos.get(member)
    if member in peering.lacks or (info is not None and info.last_update == ZERO):
        return "already probed"
    if member not in peering.view.alive:
        return "osd is down"
    return "querying" if peering.is_asked(member) else "not queried"


def may_give_up(osdmap: OSDMap, owner: Owner) -> bool:
    """Whether all were asked, or are lost (all_unfound_are_queried_or_lost)."""
    for member in list_possible(owner):
        osd = osd_of(member)
        if find_status(owner, member) == "already probed" or not osds.is_known(osdmap, osd):
            continue
        if osdmap.osd_info[osd].lost_at <= osdmap.osd_info[osd].up_from:
            return False
    return True


def view(owner: Owner, offset: HObject | None) -> dict[str, Any]:
    """What `list_unfound` shows, from an object on."""
    finding = owner.recovery.finding
    lacking, found = finding.list_lacking(), finding.list_unfound()
    first = offset.sort_key() if offset is not None else None
    chosen = sorted(found, key=HObject.sort_key)
    if first is not None:
        chosen = [what for what in chosen if what.sort_key() > first]
    start = {} if offset is None else {"offset": _oid(offset)}
    return {
        **start,
        "num_missing": len(lacking),
        "num_unfound": len(found),
        "objects": [_object(owner, what, found[what]) for what in chosen[:SHOWN_MAX]],
        "state": "Active",
        "available_might_have_unfound": True,
        "might_have_unfound": [one for one in statuses(owner) if one["status"] != "already probed"],
        "more": len(chosen) > SHOWN_MAX,
    }


def _object(owner: Owner, what: HObject, need: Need) -> dict[str, Any]:
    return {
        "oid": _oid(what),
        "need": str(need.need),
        "have": str(need.have),
        "flags": "none",
        "clean_regions": "clean_offsets: [], clean_omap: 0, new_object: 1",
        "locations": [member_text(one) for one in owner.recovery.finding.sources(what)],
    }


def _oid(what: HObject) -> dict[str, Any]:
    return {
        "oid": what.name.decode(errors="replace"),
        "key": what.key.decode(errors="replace"),
        "snapid": what.snap - (1 << 64) if what.snap >> 63 else what.snap,
        "hash": what.hash,
        "max": int(what.is_max),
        "pool": what.pool,
        "namespace": what.namespace.decode(errors="replace"),
    }


class _Oid(msgspec.Struct):
    oid: str
    key: str = ""
    snapid: int = -2
    hash: int = 0
    max: int = 0
    pool: int = 0
    namespace: str = ""


def parse_offset(text: str) -> HObject:
    """Where to go on, as `view` showed it. Raises msgspec.MsgspecError."""
    said = msgspec.json.decode(text, type=_Oid)
    return HObject(
        *(said.oid.encode(), said.key.encode(), said.snapid % (1 << 64), said.hash),
        *(bool(said.max), said.namespace.encode(), said.pool),
    )


def statuses(owner: Owner) -> list[dict[str, str]]:
    """What became of the question to everyone who might have them."""
    return [
        {"osd": member_text(member), "status": find_status(owner, member)}
        for member in list_possible(owner)
    ]


def member_text(member: int) -> str:
    """``2``, or ``2(1)`` for a shard."""
    shard = shard_of(member)
    return f"{osd_of(member)}({shard})" if shard >= 0 else str(member)
