# SPDX-License-Identifier: Apache-2.0
"""Commands that place single groups otherwise than CRUSH does, and choose primaries."""

import errno
import re
from typing import Any, Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.state import Change, next_change
from octostack.wire.ceph.maps.pool import Pool
from octostack.wire.ceph.objects import PG

LUMINOUS: Final = 12
_PGID: Final = re.compile(r"(\d+)\.([0-9a-f]+)")


def _changed(query: Query, status: str, **values: Any) -> Answer:
    step = msgspec.structs.replace(next_change(query.state.osdmap, query.now_ns), **values)
    return Answer(status=status, change=Change(osdmap=step))


def _group(query: Query) -> tuple[PG, Pool]:
    match = _PGID.fullmatch(query.text("pgid"))
    if not match:
        raise Failure(errno.EINVAL, f"invalid pgid '{query.text('pgid')}'")
    pg = PG(int(match[1]), int(match[2], 16))
    pool = query.state.osdmap.pools.get(pg.pool)
    if pool is None or pg.seed >= pool.pg_num:
        raise Failure(errno.ENOENT, f"pg {pg} does not exist")
    return pg, pool


def _upmap_group(query: Query) -> tuple[PG, Pool]:
    if query.state.osdmap.require_min_compat_client < LUMINOUS:
        raise Failure(
            errno.EPERM,
            "min_compat_client is below luminous, which is required for pg-upmap. Try 'ceph osd "
            "set-require-min-compat-client luminous' before using the new interface",
        )
    return _group(query)


def _number(word: Any) -> int:
    text = str(word).removeprefix("osd.")
    if not text.removeprefix("-").isdigit():
        raise Failure(errno.EINVAL, f"invalid osd id {word}")
    return int(text)


def _osds(query: Query) -> list[int]:
    found = [_number(word) for word in query.arguments.get("id", ())]
    for osd in found:
        if not osds.is_known(query.state.osdmap, osd):
            raise Failure(errno.ENOENT, f"osd.{osd} does not exist")
    return found


def _list(numbers: list[int]) -> str:
    return f"[{','.join(map(str, numbers))}]"


def _upmap(query: Query) -> Answer:
    pg, pool = _upmap_group(query)
    found = _osds(query)
    if len(found) > pool.size:
        raise Failure(errno.EINVAL, f"num of osds ({len(found)}) > pool size ({pool.size})")
    once = list(dict.fromkeys(found))
    said = "".join(f"osd.{osd} already exists, " for osd in once if found.count(osd) > 1)
    status = f"{said}set {pg} pg_upmap mapping to {_list(once)}"
    return _changed(query, status, new_pg_upmap={pg: tuple(once)})


def _upmap_items(query: Query) -> Answer:
    pg, pool = _upmap_group(query)
    found = _osds(query)
    if len(found) % 2:
        raise Failure(errno.EINVAL, "you must specify pairs of osd ids to be remapped")
    if len(found) > 2 * pool.size:
        message = f"num of osd pairs ({len(found) // 2}) > pool size ({pool.size})"
        raise Failure(errno.EINVAL, message)
    pairs = list(zip(found[::2], found[1::2], strict=True))
    said = "".join(f"from osd.{old} == to osd.{new}, " for old, new in pairs if old == new)
    items = tuple(dict.fromkeys((old, new) for old, new in pairs if old != new))
    if not items:
        raise Failure(errno.EINVAL, f"{said}no valid upmap items(pairs) is specified")
    shown = ",".join(f"{old}->{new}" for old, new in items)
    status = f"{said}set {pg} pg_upmap_items mapping to [{shown}]"
    return _changed(query, status, new_pg_upmap_items={pg: items})


def _clear(query: Query, name: str) -> Answer:
    pg, _ = _upmap_group(query)
    status = f"clear {pg} {name} mapping"
    if pg not in getattr(query.state.osdmap, name):
        return Answer(status=status)
    return _changed(query, status, **{f"old_{name}": frozenset({pg})})


def _temp(query: Query) -> Answer:
    pg, pool = _group(query)
    found = _osds(query)
    if found and not pool.min_size <= len(found) <= pool.size:
        word = "<" if len(found) < pool.min_size else ">"
        limit = f"pool min size ({pool.min_size})" if word == "<" else f"pool size ({pool.size})"
        raise Failure(errno.EINVAL, f"num of osds ({len(found)}) {word} {limit}")
    status = f"set {pg} pg_temp mapping to {_list(found)}"
    if not found:
        status = f"done cleaning up pg_temp of {pg}"
        if pg not in query.state.osdmap.pg_temp:
            return Answer(status=status)
    return _changed(query, status, new_pg_temp={pg: tuple(found)})


def _primary_temp(query: Query) -> Answer:
    pg, _ = _group(query)
    osd = _number(query.arguments["id"])
    if osd != -1 and not osds.is_known(query.state.osdmap, osd):
        raise Failure(errno.ENOENT, f"osd.{osd} does not exist")
    status = f"set {pg} primary_temp mapping to {osd}"
    return _changed(query, status, new_primary_temp={pg: osd})


def _affinity(query: Query) -> Answer:
    osd, weight = _number(query.arguments["id"]), float(query.text("weight"))
    if not 0.0 <= weight <= 1.0:
        raise Failure(errno.EINVAL, f"value '{weight:g}' must be between 0 and 1")
    if not osds.is_known(query.state.osdmap, osd):
        raise Failure(errno.ENOENT, f"osd.{osd} does not exist")
    fixed = int(weight * osds.AFFINITY_DEFAULT)
    # the real one prints the numbers of two stream flags about it
    status = f"set osd.{osd} primary-affinity to {weight:g} (8{fixed}2)"
    return _changed(query, status, new_primary_affinity={osd: fixed})


_GROUP: Final = "name=pgid,type=CephPgid"
_MANY: Final = "name=id,type=CephOsdName,n=N"
_DEVELOPERS: Final = "(developers only)"

TABLE: Final = tuple(
    Command(f"osd {words}", says, "osd", "rw", act)
    for words, says, act in (
        (
            f"pg-upmap {_GROUP} {_MANY}",
            f"set pg_upmap mapping <pgid>:[<id> [<id>...]] {_DEVELOPERS}",
            _upmap,
        ),
        (
            f"rm-pg-upmap {_GROUP}",
            f"clear pg_upmap mapping for <pgid> {_DEVELOPERS}",
            lambda query: _clear(query, "pg_upmap"),
        ),
        (
            f"pg-upmap-items {_GROUP} {_MANY}",
            f"set pg_upmap_items mapping <pgid>:{{<id> to <id>, [...]}} {_DEVELOPERS}",
            _upmap_items,
        ),
        (
            f"rm-pg-upmap-items {_GROUP}",
            f"clear pg_upmap_items mapping for <pgid> {_DEVELOPERS}",
            lambda query: _clear(query, "pg_upmap_items"),
        ),
        (
            f"pg-temp {_GROUP} {_MANY},req=false",
            f"set pg_temp mapping pgid:[<id> [<id>...]] {_DEVELOPERS}",
            _temp,
        ),
        (
            f"primary-temp {_GROUP} name=id,type=CephOsdName",
            f"set primary_temp mapping pgid:<id>|-1 {_DEVELOPERS}",
            _primary_temp,
        ),
        (
            "primary-affinity name=id,type=CephOsdName name=weight,type=CephFloat,range=0.0|1.0",
            "adjust osd primary-affinity from 0.0 <= <weight> <= 1.0",
            _affinity,
        ),
    )
)
