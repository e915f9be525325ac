# SPDX-License-Identifier: Apache-2.0
"""Commands about placement groups."""

import errno
import functools
from collections.abc import Callable
from typing import Any, Final

from octostack.engines.ceph.core.osdmap import osds, placement
from octostack.engines.ceph.mgr.core import groupview
from octostack.engines.ceph.mon.core import views
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.pools import get as get_pool
from octostack.engines.ceph.mon.core.printing import members_text
from octostack.engines.ceph.mon.core.state import GroupReport
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.messages.cluster import OSDScrub
from octostack.wire.ceph.objects import PG, ShardPG, parse_pg

PARTS: Final = ("all", "summary", "sum", "delta", "pools", "osds", "pgs", "pgs_brief")
STUCK: Final = ("inactive", "unclean", "stale", "undersized", "degraded")
_NANOS: Final = 1_000_000_000


def _stat(query: Query) -> Answer:
    return query.show(views.pg_stat(query), views.pg_stat_text(query))


def _dump(query: Query) -> Answer:
    parts = query.arguments.get("dumpcontents") or ["all"]
    chosen = frozenset(map(str, parts))
    status = f"dumped {','.join(map(str, parts))}"
    if query.style != "plain":
        return query.show(groupview.dump(query, chosen)).saying(status)
    if "pgs_brief" in chosen:
        text = groupview.brief_text(query)
    elif chosen == {"osds"}:
        text = groupview.osds_text(query)
    else:
        text = groupview.dump_text(query)
    return query.show({}, text).saying(status)


def _dump_json(query: Query, parts: str) -> Answer:
    found = groupview.dump(query, frozenset({parts}))
    query.arguments["format"] = "json"
    return query.show(found).saying(f"dumped {parts}")


def _chosen(query: Query, test: Callable[[PG, GroupReport], bool]) -> Answer:
    """`pg ls` and its kin: those groups, further chosen by words of state."""
    found = query.statistics.list_groups(query.state.osdmap)
    words = [str(word) for word in query.arguments.get("states", ())]
    pool = query.text("pool")
    number = _pool_number(query, pool) if pool else None
    kept = {
        pg: one
        for pg, one in found.items()
        if test(pg, one)
        and number in {None, pg.pool}
        and (not words or "all" in words or set(words) & set(one.state.split("+")))
    }
    shown = [groupview.group(query, pg, kept[pg]) for pg in kept]
    view = {"pg_ready": groupview.is_ready(query), "pg_stats": shown}
    return query.show(view, groupview.list_text(query, kept))


def _pool_number(query: Query, text: str) -> int:
    return int(text) if text.isdigit() else get_pool(query.state.osdmap, text)


def _osd_number(query: Query) -> int:
    text = query.text("osd").removeprefix("osd.")
    if not text.isdigit() or not osds.is_known(query.state.osdmap, int(text)):
        raise Failure(errno.ENOENT, f"osd {query.text('osd')} does not exist")
    return int(text)


def _ls(query: Query) -> Answer:
    return _chosen(query, lambda _pg, _one: True)


def _ls_by_pool(query: Query) -> Answer:
    number = get_pool(query.state.osdmap, query.text("poolstr"))
    return _chosen(query, lambda pg, _one: pg.pool == number)


def _ls_by_primary(query: Query) -> Answer:
    osd = _osd_number(query)
    return _chosen(query, lambda _pg, one: one.acting[:1] == (osd,))


def _ls_by_osd(query: Query) -> Answer:
    osd = _osd_number(query)
    return _chosen(query, lambda _pg, one: osd in one.acting or osd in one.up)


def _dump_stuck(query: Query) -> Answer:
    words = [str(word) for word in query.arguments.get("stuckops", ())] or ["unclean"]
    after_ns = int(query.arguments.get("threshold", 60)) * _NANOS
    chosen: dict[PG, GroupReport] = {}
    for pg, one in query.statistics.list_groups(query.state.osdmap).items():
        seen = query.statistics.seen.get(pg)
        since = query.now_ns - (seen.changed if seen else 0)
        if since >= after_ns and any(_is_stuck(one.state, word) for word in words):
            chosen[pg] = one
    shown = [groupview.group(query, pg, one) for pg, one in chosen.items()]
    view = {"pg_ready": groupview.is_ready(query), "stuck_pg_stats": shown}
    text = groupview.list_text(query, chosen) if chosen else ""
    return Answer(query.show(view, text).output if text or query.style != "plain" else b"", "ok")


def _is_stuck(state: str, word: str) -> bool:
    names = state.split("+")
    if word == "inactive":
        return "active" not in names
    if word == "unclean":
        return "clean" not in names
    return word in names


def _get_pg(query: Query, name: str = "pgid") -> PG:
    text = query.text(name)
    try:
        pg = parse_pg(text)
    except Malformed:
        raise Failure(errno.EINVAL, f"invalid pgid '{text}'") from None
    pool = query.state.osdmap.pools.get(pg.pool)
    if pool is None or pg.seed >= pool.pg_num:
        raise Failure(errno.ENOENT, f"pg '{text}' does not exist")
    return pg


def _map(query: Query) -> Answer:
    map_ = query.state.osdmap
    pg = _get_pg(query)
    place = placement.of_group(map_, pg)
    view = {
        "epoch": map_.epoch,
        "raw_pgid": query.text("pgid"),
        "pgid": str(pg),
        "up": list(place.up),
        "acting": list(place.acting),
    }
    up, acting = (members_text(one) for one in (place.up, place.acting))
    text = f"osdmap e{map_.epoch} pg {query.text('pgid')} ({pg}) -> up {up} acting {acting}\n"
    return query.show(view, text)


def _scrub(query: Query, word: str) -> Answer:
    pg = _get_pg(query)
    primary = placement.of_group(query.state.osdmap, pg).acting_primary
    if primary < 0:
        raise Failure(errno.EAGAIN, f"pg {pg} has no primary osd")
    order = order_of(query, [pg], word)
    status = f"instructing pg {pg} on osd.{primary} to {word}"
    return Answer(status=status, orders=((primary, order),))


def order_of(query: Query, groups: list[PG], word: str) -> OSDScrub:
    """The message that makes a primary scrub."""
    map_ = query.state.osdmap
    shards = tuple(ShardPG(pg) for pg in groups)
    return OSDScrub(map_.fsid, map_.epoch, shards, word == "repair", word != "scrub")


def orders_to(query: Query, word: str, test: Callable[[PG, int], bool]) -> dict[int, OSDScrub]:
    """One message for each primary of the groups that `test` chooses."""
    map_ = query.state.osdmap
    found: dict[int, list[PG]] = {}
    for number, pool in map_.pools.items():
        for seed in range(pool.pg_num):
            pg = PG(number, seed)
            primary = placement.of_group(map_, pg).acting_primary
            if primary >= 0 and test(pg, primary):
                found.setdefault(primary, []).append(pg)
    return {osd: order_of(query, groups, word) for osd, groups in found.items()}


def _scrub_osds(query: Query, word: str) -> Answer:
    text = query.text("who").removeprefix("osd.")
    map_ = query.state.osdmap
    if text in {"all", "any", "*"}:
        wanted = set(views.list_up(map_))
    elif text.isdigit() and osds.is_known(map_, int(text)):
        wanted = {int(text)}
    else:
        raise Failure(errno.ENOENT, f"osd.{text} does not exist")
    if not all(osds.is_up(map_, osd) for osd in wanted):
        raise Failure(errno.EAGAIN, f"osd.{text} is not up")
    orders = orders_to(query, word, lambda _pg, primary: primary in wanted)
    shown = ",".join(map(str, sorted(wanted)))
    return Answer(status=f"instructed osd(s) {shown} to {word}", orders=tuple(orders.items()))


def _scrub_pools(query: Query, word: str) -> Answer:
    names = [str(name) for name in query.arguments["who"]]
    numbers = {get_pool(query.state.osdmap, name) for name in names}
    orders = orders_to(query, word, lambda pg, _primary: pg.pool in numbers)
    return Answer(orders=tuple(orders.items()))


def _force(query: Query, word: str, *, cancel: bool) -> Answer:
    """`osd pool force-backfill` and its kin: what is not waiting cannot be hurried."""
    names = [str(name) for name in query.arguments["who"]]
    numbers = {get_pool(query.state.osdmap, name) for name in names}
    lines = []
    for pg, one in query.statistics.list_groups(query.state.osdmap).items():
        if pg.pool not in numbers:
            continue
        if cancel:
            lines.append(f"pg {pg} {word} not forced; ")
        elif "clean" in one.state:
            noun = "recovery" if word == "recovery" else "backfilling"
            lines.append(f"pg {pg} doesn't require {noun}; ")
    return Answer(status="".join(lines))


def _debug(query: Query) -> Answer:
    unfound = any(group.unfound for group in query.statistics.groups.values())
    answer: Any = b"TRUE" if unfound else b"FALSE"
    if query.style == "plain":
        return Answer(answer + b"\n")
    ready = query.show({"pg_ready": groupview.is_ready(query)}).output
    return Answer(answer + b"\n" + ready)


def _get_map(query: Query) -> Answer:
    query.arguments["format"] = "json"
    status = f"got pgmap version {query.statistics.version}"
    return query.show(groupview.dump(query, frozenset({"all"}))).saying(status)


def _line(words: str, says: str, act: Callable[[Query], Answer], permission: str = "r") -> Command:
    module = "pg" if words.startswith("pg ") else "osd"
    return Command(words, says, module, permission, act, by_manager=True)


_STATES: Final = "name=states,type=CephString,n=N,req=false"
_PGID: Final = "name=pgid,type=CephPgid"
_WHO: Final = "name=who,type=CephPoolname,n=N"
_SCRUBS: Final = ("scrub", "deep-scrub", "repair")

TABLE: Final = (
    _line("pg stat", "how many groups are in which state", _stat),
    _line(
        f"pg dump name=dumpcontents,type=CephChoices,strings={'|'.join(PARTS)},n=N,req=false",
        "all groups and OSDs (for people only all of it)",
        _dump,
    ),
    _line(
        "pg dump_json name=dumpcontents,type=CephChoices,strings=all|summary|sum|pools|osds|pgs,"
        "n=N,req=false",
        "the same, always as JSON",
        functools.partial(_dump_json, parts="all"),
    ),
    _line(
        "pg dump_pools_json",
        "groups summed up by pool, as JSON",
        functools.partial(_dump_json, parts="pools"),
    ),
    _line(
        f"pg dump_stuck name=stuckops,type=CephChoices,strings={'|'.join(STUCK)},n=N,req=false "
        "name=threshold,type=CephInt,req=false",
        "groups that have been in trouble for long",
        _dump_stuck,
    ),
    _line(f"pg ls name=pool,type=CephInt,req=false {_STATES}", "groups by pool and state", _ls),
    _line(f"pg ls-by-pool name=poolstr,type=CephString {_STATES}", "groups of a pool", _ls_by_pool),
    _line(
        f"pg ls-by-primary name=osd,type=CephOsdName name=pool,type=CephInt,req=false {_STATES}",
        "groups that an OSD is the first of",
        _ls_by_primary,
    ),
    _line(
        f"pg ls-by-osd name=osd,type=CephOsdName name=pool,type=CephInt,req=false {_STATES}",
        "groups on an OSD",
        _ls_by_osd,
    ),
    _line(f"pg map {_PGID}", "where a group is", _map),
    _line("pg getmap", "all that is known of groups, to a file with -o", _get_map),
    _line(
        "pg debug name=debugop,type=CephChoices,strings=unfound_objects_exist|degraded_pgs_exist",
        "whether there are such groups",
        _debug,
    ),
    *(
        _line(f"pg {word} {_PGID}", f"{word} a group", functools.partial(_scrub, word=word), "rw")
        for word in _SCRUBS
    ),
    *(
        _line(
            f"osd {word} name=who,type=CephString",
            f"{word} the groups that an OSD is the first of, or <all|any>",
            functools.partial(_scrub_osds, word=word),
            "rw",
        )
        for word in _SCRUBS
    ),
    *(
        _line(
            f"osd pool {word} {_WHO}",
            f"{word} all groups of pools",
            functools.partial(_scrub_pools, word=word),
            "rw",
        )
        for word in _SCRUBS
    ),
    *(
        _line(
            f"osd pool {'cancel-' if cancel else ''}force-{word} {_WHO}",
            f"{word} of pools {'in its turn again' if cancel else 'first'}",
            functools.partial(_force, word=word, cancel=cancel),
            "rw",
        )
        for word in ("recovery", "backfill")
        for cancel in (False, True)
    ),
)
