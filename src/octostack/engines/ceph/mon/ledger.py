# SPDX-License-Identifier: Apache-2.0
"""The state of a monitor in its store: which keys hold what, and how it is read back.

A change of the OSD map is kept as it is, under its epoch; the whole map is written every so often,
so that a restart has few changes to apply.

A copy of a group that comes back must see every epoch since the group was last clean, so changes
are kept from there on, however many these are; and of the latest so many as are configured.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from octostack.base.errors import NotFound
from octostack.engines.ceph.core.osdmap import change as osd_changes
from octostack.engines.ceph.mon.consensus import LAST
from octostack.engines.ceph.mon.core import clusterlog, settings
from octostack.engines.ceph.mon.core.auth import Auth
from octostack.engines.ceph.mon.core.clusterlog import Line
from octostack.engines.ceph.mon.core.state import (
    TABLES,
    Change,
    ConfigChange,
    Mute,
    State,
    apply,
    sealed,
)
from octostack.engines.ceph.mon.store import MonStore, Puts
from octostack.wire.ceph.maps import monmap, osdmap
from octostack.wire.ceph.maps.mgrmap import MgrMap
from octostack.wire.ceph.maps.osdmap import OSDMap

_CHANGES = "osdmap/"
_WHOLE_EVERY = 50
_FORGOTTEN_AT_ONCE = 500  # changes of the map that go with the next one
_MONMAPS = "monmap/"
_puts = msgspec.msgpack.Decoder(dict[str, bytes | None])
_TYPES: dict[str, Any] = {
    "config": dict[str, dict[str, str]],
    "config_keys": dict[str, bytes],
    "auth_next_id": int,
    "auth": Auth,
    "config_log": tuple[ConfigChange, ...],
    "mgrmap": MgrMap,
    "mutes": dict[str, Mute],
    "metadata": dict[str, dict[str, str]],
}


def epoch_key(epoch: int) -> str:
    """Where the change to an epoch is."""
    return f"{_CHANGES}{epoch:010}"


def monmap_key(epoch: int) -> str:
    """Where the map of monitors of an epoch is; the newest is under ``monmap`` too."""
    return f"{_MONMAPS}{epoch:010}"


def line_key(seq: int) -> str:
    """Where a line of the cluster's log is."""
    return f"log/{seq:012}"


class Prepared(msgspec.Struct, frozen=True):
    """A change as all monitors get it, and what it leads to."""

    value: bytes
    state: State
    blob: bytes  # of the OSD map


class Ledger:
    """The state now, and the blobs that are sent of it."""

    def __init__(self, store: MonStore, needed: Callable[[OSDMap, int], int] | None = None) -> None:
        self.store = store
        self._needed = needed or (lambda _, limit: limit)  # see `Statistics.oldest_needed`
        self.load()

    def load(self) -> None:
        """Read all of the store again."""
        self.state = _load(self.store)
        self.osdmap_blob = osdmap.encode(self.state.osdmap)
        self.monmap_blob = monmap.encode(self.state.monmap)
        self._oldest = _find_oldest(self.store) or self.state.osdmap.epoch + 1
        self._prepared: Prepared | None = None

    def prepare(self, change: Change) -> bytes:
        """The change as keys and values, which is what monitors agree on."""
        puts: dict[str, bytes | None] = {}
        blob = self.osdmap_blob
        if change.osdmap is not None:
            step, after, blob = sealed(self.state.osdmap, change.osdmap)
            change = msgspec.structs.replace(change, osdmap=step)
            puts[epoch_key(after.epoch)] = osdmap.encode_incremental(step)
            puts |= dict.fromkeys(self._list_old(after.epoch))
            if after.epoch % _WHOLE_EVERY == 0:
                puts["osdmap"] = blob
        for line in change.log:
            puts[line_key(line.seq)] = msgspec.msgpack.encode(line)
            puts[line_key(line.seq - clusterlog.KEPT)] = None
        if change.monmap is not None:
            puts |= _monmap_puts(change.monmap.epoch, monmap.encode(change.monmap))
        puts |= _tables(change)
        value = msgspec.msgpack.encode(puts)
        self._prepared = Prepared(value, apply(self.state, change), blob)
        return value

    def take(self, value: bytes) -> Puts:
        """The change is agreed on: the state is the one after it; its keys and values."""
        puts = _puts.decode(value)
        self._see_monmap(puts)
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared.value == value:
            own = self.state
            after = msgspec.structs.replace(prepared.state, monmap=own.monmap, monmaps=own.monmaps)
            self.state, self.osdmap_blob = after, prepared.blob
            return puts
        epoch = self.state.osdmap.epoch + 1
        step = puts.get(epoch_key(epoch))
        change = Change(
            osdmap=osdmap.decode_incremental(step) if step is not None else None,
            log=tuple(_line(blob) for key, blob in sorted(puts.items()) if _is_line(key, blob)),
            **{name: _table(name, blob) for name in TABLES if (blob := puts.get(name))},
        )
        self.state = apply(self.state, change)
        if step is not None:
            self.osdmap_blob = osdmap.encode(self.state.osdmap)
        return puts

    def adopt(self, blob: bytes) -> bool:
        """Take a newer map of monitors that others have committed; whether it is newer."""
        found = monmap.decode(blob)
        if found.fsid != self.state.monmap.fsid or found.epoch <= self.state.monmap.epoch:
            return False
        self.store.stage(_monmap_puts(found.epoch, blob))
        self.state, self.monmap_blob = apply(self.state, Change(monmap=found)), blob
        return True

    def _see_monmap(self, puts: dict[str, bytes | None]) -> None:
        """A map of monitors among what was agreed on; one that is older than ours is not taken."""
        blob = puts.get("monmap")
        if blob is None:
            return
        found = monmap.decode(blob)
        if found.epoch > self.state.monmap.epoch:
            self.monmap_blob = blob
        else:
            del puts["monmap"]
        self.state = apply(self.state, Change(monmap=found))

    def find_change(self, epoch: int) -> bytes | None:
        """The change to that epoch, while it is kept."""
        return self.store.values.get(epoch_key(epoch))

    @property
    def oldest(self) -> int:
        """The oldest epoch that a change is kept of, or the newest when there is none."""
        now = self.state.osdmap.epoch
        while self._oldest < now and self.find_change(self._oldest) is None:
            self._oldest += 1  # it has gone since
        return min(self._oldest, now)

    @property
    def _kept(self) -> int:
        """How many changes of the map at least; a restart begins with the last whole one."""
        kept = settings.number_of(self.state.config, "mon_min_osdmap_epochs")
        return max(kept, _WHOLE_EVERY + 1)

    def _list_old(self, newest: int) -> list[str]:
        """Where changes are that go when that epoch comes."""
        oldest, limit = self.oldest, newest - self._kept + 1
        if oldest >= limit:
            return []
        forced = settings.number_of(self.state.config, "mon_osd_force_trim_to")
        needed = forced or self._needed(self.state.osdmap, limit)
        end = min(limit, needed, oldest + _FORGOTTEN_AT_ONCE)
        return [epoch_key(epoch) for epoch in range(oldest, end)]


async def found_cluster(store: MonStore, blobs: tuple[bytes, bytes], tables: Change) -> None:
    """Begin with these maps of monitors and OSDs, and with these tables."""
    maps = _monmap_puts(monmap.decode(blobs[0]).epoch, blobs[0])
    await store.commit({**maps, "osdmap": blobs[1], **_tables(tables)})


async def found_member(store: MonStore, blobs: tuple[bytes, bytes], tables: Change) -> None:
    """Begin as one who joins: with maps that tell who is asked for everything."""
    nothing = {LAST: msgspec.msgpack.encode(-1)}
    await store.commit({"monmap": blobs[0], "osdmap": blobs[1], **nothing, **_tables(tables)})


def _monmap_puts(epoch: int, blob: bytes) -> dict[str, bytes | None]:
    return {"monmap": blob, monmap_key(epoch): blob}


def _tables(change: Change) -> dict[str, bytes | None]:
    values = {name: getattr(change, name) for name in TABLES}
    return {k: msgspec.msgpack.encode(v) for k, v in values.items() if v is not None}


def _load(store: MonStore) -> State:
    values = store.values
    if "monmap" not in values:
        raise NotFound("The monitor's store has no cluster in it.", code="ceph.no_cluster")
    tables = {name: _table(name, values[name]) for name in TABLES if name in values}
    lines = tuple(_line(values[key]) for key in sorted(values) if _is_line(key, values[key]))
    known = [monmap.decode(blob) for key, blob in values.items() if key.startswith(_MONMAPS)]
    return State(
        monmap.decode(values["monmap"]),
        _load_osdmap(values),
        log=lines,
        monmaps={one.epoch: one for one in known},
        **tables,
    )


def _table(name: str, blob: bytes) -> Any:
    return msgspec.msgpack.decode(blob, type=_TYPES[name])


def _line(blob: bytes | None) -> Line:
    assert blob is not None
    return msgspec.msgpack.decode(blob, type=Line)


def _is_line(key: str, blob: bytes | None) -> bool:
    return blob is not None and key.startswith("log/")


def _find_oldest(store: MonStore) -> int:
    """The oldest epoch that a change is kept of; 0 when there is none."""
    found = (key for key in store.values if key.startswith(_CHANGES))
    return int(min(found, default=epoch_key(0)).removeprefix(_CHANGES))


def _load_osdmap(values: dict[str, bytes]) -> OSDMap:
    found = osdmap.decode(values["osdmap"])
    while (step := values.get(epoch_key(found.epoch + 1))) is not None:
        found = osd_changes.apply(found, osdmap.decode_incremental(step))
    return found
