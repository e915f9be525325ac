# SPDX-License-Identifier: Apache-2.0
"""Commands about OSDs and their map."""

import errno
from typing import Final

import msgspec

from octostack.engines.ceph.core.osdmap import osds as osd_facts
from octostack.engines.ceph.core.osdmap import placement, pools
from octostack.engines.ceph.mon.core import osds, osdview
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.clusterlog import Line
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.pools import get as get_pool
from octostack.engines.ceph.mon.core.printing import members_text
from octostack.engines.ceph.mon.core.state import Change, next_change
from octostack.wire.ceph.maps import crush, osdmap
from octostack.wire.ceph.maps.osdmap import Incremental, MapFlag
from octostack.wire.ceph.objects import Locator

FLAG_NAMES: Final = {
    "pause": MapFlag.PAUSERD | MapFlag.PAUSEWR,
    "noup": MapFlag.NOUP,
    "nodown": MapFlag.NODOWN,
    "noout": MapFlag.NOOUT,
    "noin": MapFlag.NOIN,
    "nobackfill": MapFlag.NOBACKFILL,
    "norebalance": MapFlag.NOREBALANCE,
    "norecover": MapFlag.NORECOVER,
    "noscrub": MapFlag.NOSCRUB,
    "nodeep-scrub": MapFlag.NODEEP_SCRUB,
    "notieragent": MapFlag.NOTIERAGENT,
    "nosnaptrim": MapFlag.NOSNAPTRIM,
}


def changed(change: Incremental | None, status: str) -> Answer:
    """An answer that waits for the map to change."""
    return Answer(status=status, change=Change(osdmap=change) if change else None)


def _dump(query: Query) -> Answer:
    return query.show(osdview.dump(query.state.osdmap), osdview.dump_text(query.state.osdmap))


def _getmap(query: Query) -> Answer:
    map_ = query.state.osdmap
    return Answer(osdmap.encode(map_), f"got osdmap epoch {map_.epoch}")


def _getcrushmap(query: Query) -> Answer:
    map_ = query.state.osdmap
    return Answer(crush.encode(map_.crush), str(map_.crush_version))


def _ls(query: Query) -> Answer:
    known = osd_facts.list_known(query.state.osdmap)
    return query.show(known, "".join(f"{osd}\n" for osd in known))


def _numbers(query: Query) -> list[int]:
    """The OSDs named, as ``3``, ``osd.3``, or ``all``. Raises Failure."""
    map_ = query.state.osdmap
    found = []
    for word in query.arguments["ids"]:
        text = str(word).removeprefix("osd.")
        if text in {"all", "any", "*"}:
            return osd_facts.list_known(map_)
        if not text.isdigit():
            raise Failure(errno.EINVAL, f"invalid osd id {word}")
        found.append(int(text))
    return found


def _weigh(query: Query, weight: int, word: str) -> Answer:
    map_ = query.state.osdmap
    lines, said = [], []
    weights = {}
    for osd in _numbers(query):
        if not osd_facts.is_known(map_, osd):
            lines.append(f"osd.{osd} does not exist. ")
        elif bool(map_.osd_weight[osd]) == bool(weight):
            lines.append(f"osd.{osd} is already {word}. ")
        else:
            lines.append(f"marked {word} osd.{osd}. ")
            weights[osd] = weight
            if not weight and osd_facts.is_up(map_, osd):
                text = (
                    f"Client {query.who.asking} marked osd.{osd} out, while it was still marked up"
                )
                said.append(Line(f"mon.{query.quorum.leader}", text))
    answer = changed(osds.weigh(map_, weights, query.now_ns), "".join(lines))
    if answer.change is None or not said:
        return answer
    change = msgspec.structs.replace(answer.change, log=tuple(said))
    return msgspec.structs.replace(answer, change=change)


def _down(query: Query) -> Answer:
    map_ = query.state.osdmap
    lines = []
    down = []
    for osd in _numbers(query):
        if not osd_facts.is_known(map_, osd):
            lines.append(f"osd.{osd} does not exist. ")
        elif not osd_facts.is_up(map_, osd):
            lines.append(f"osd.{osd} is already down. ")
        else:
            lines.append(f"marked down osd.{osd}. ")
            down.append(osd)
    return changed(osds.mark_down(map_, down, query.now_ns), "".join(lines))


def _reweight(query: Query) -> Answer:
    osd, weight = int(query.text("id").removeprefix("osd.")), float(query.text("weight"))
    if not osd_facts.is_known(query.state.osdmap, osd):
        raise Failure(errno.ENOENT, f"osd.{osd} does not exist")
    fixed = int(weight * crush.ONE)
    change = osds.weigh(query.state.osdmap, {osd: fixed}, query.now_ns)
    return changed(change, f"reweighted osd.{osd} to {weight:g} ({fixed:x})")


def _set_flag(query: Query, *, on: bool) -> Answer:
    name = query.text("key", "pause")
    flag = FLAG_NAMES.get(name)
    if flag is None:
        raise Failure(errno.EINVAL, f"unrecognized flag '{name}'")
    map_ = query.state.osdmap
    flags = map_.flags | flag if on else map_.flags & ~flag
    shown = "pauserd,pausewr" if name == "pause" else name
    status = f"{shown} is {'set' if on else 'unset'}"
    if flags == map_.flags:
        return Answer(status=status)
    change = msgspec.structs.replace(next_change(map_, query.now_ns), new_flags=flags)
    return changed(change, status)


def _map(query: Query) -> Answer:
    map_ = query.state.osdmap
    number = get_pool(map_, query.text("pool"))
    name, namespace = query.text("object"), query.text("nspace")
    pool = map_.pools[number]
    locator = Locator(number, namespace=namespace.encode())
    pg = placement.of_object(map_, locator, name.encode())
    assert pg is not None
    place = placement.of_group(map_, pg)
    full = pools.object_hash(pool, name.encode(), b"", namespace.encode())
    shown = f"{namespace}/{name}" if namespace else name
    view = {
        "epoch": map_.epoch,
        "pool": map_.pool_names[number],
        "pool_id": number,
        "objname": shown,
        "raw_pgid": f"{number}.{full:x}",
        "pgid": str(pg),
        "up": list(place.up),
        "up_primary": place.up_primary,
        "acting": list(place.acting),
        "acting_primary": place.acting_primary,
    }
    up = f"{members_text(place.up)}, p{place.up_primary}"
    acting = f"{members_text(place.acting)}, p{place.acting_primary}"
    text = (
        f"osdmap e{map_.epoch} pool '{map_.pool_names[number]}' ({number}) object '{shown}' -> "
        f"pg {number}.{full:x} ({pg}) -> up ({up}) acting ({acting})\n"
    )
    return query.show(view, text)


_IDS: Final = "name=ids,type=CephString,n=N"
_KEYS: Final = f"name=key,type=CephChoices,strings={'|'.join(FLAG_NAMES)}"
_EPOCH: Final = "name=epoch,type=CephInt,range=0,req=false"

TABLE: Final = (
    Command("osd stat", "print summary of OSD map", "osd", "r", osdview.stat),
    Command(f"osd dump {_EPOCH}", "print summary of OSD map", "osd", "r", _dump),
    Command(f"osd getmap {_EPOCH}", "get OSD map", "osd", "r", _getmap),
    Command(f"osd getcrushmap {_EPOCH}", "get CRUSH map", "osd", "r", _getcrushmap),
    Command(f"osd ls {_EPOCH}", "show all OSD ids", "osd", "r", _ls),
    Command(
        "osd map name=pool,type=CephPoolname name=object,type=CephObjectname "
        "name=nspace,type=CephString,req=false",
        "find pg for <object> in <pool> with [namespace]",
        "osd",
        "r",
        _map,
    ),
    Command(
        f"osd out {_IDS}",
        "set osd(s) <id> [<id>...] out, or use <any|all> to set all osds out",
        "osd",
        "rw",
        lambda query: _weigh(query, 0, "out"),
    ),
    Command(
        f"osd in {_IDS}",
        "set osd(s) <id> [<id>...] in, can use <any|all> to automatically set all out osds in",
        "osd",
        "rw",
        lambda query: _weigh(query, crush.ONE, "in"),
    ),
    Command(
        f"osd down {_IDS}",
        "set osd(s) <id> [<id>...] down, or use <any|all> to set all osds down",
        "osd",
        "rw",
        _down,
    ),
    Command(
        "osd reweight name=id,type=CephOsdName name=weight,type=CephFloat,range=0.0|1.0",
        "reweight osd to 0.0 < <weight> < 1.0",
        "osd",
        "rw",
        _reweight,
    ),
    Command("osd pause", "serve no operations", "osd", "rw", lambda q: _set_flag(q, on=True)),
    Command("osd unpause", "serve again", "osd", "rw", lambda q: _set_flag(q, on=False)),
    Command(f"osd set {_KEYS}", "set <key>", "osd", "rw", lambda query: _set_flag(query, on=True)),
    Command(
        f"osd unset {_KEYS}", "unset <key>", "osd", "rw", lambda query: _set_flag(query, on=False)
    ),
)
