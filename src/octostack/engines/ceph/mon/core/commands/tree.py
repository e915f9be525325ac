# SPDX-License-Identifier: Apache-2.0
"""Commands that show the CRUSH tree with its OSDs."""

import errno
from typing import Any, Final

from octostack.base.errors import NotFound
from octostack.engines.ceph.core.crush import names
from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mon.core import treeview
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.printing import table
from octostack.engines.ceph.mon.core.treeview import Node
from octostack.wire.ceph.maps.crush import ONE
from octostack.wire.ceph.maps.osdmap import OSDMap

STATES: Final = ("up", "down", "in", "out", "destroyed")
_HEADINGS: Final = "ID|CLASS|WEIGHT|TYPE NAME|STATUS|REWEIGHT|PRI-AFF"


def _fits(map_: OSDMap, osd: int, states: frozenset[str]) -> bool:
    """Whether an OSD is in the states asked for; of up and down, and of in and out, one may be."""
    is_up, is_in = osds.is_up(map_, osd), osds.is_in(map_, osd)
    return (
        not ({"up", "down"} & states and ("up" if is_up else "down") not in states)
        and not ({"in", "out"} & states and ("in" if is_in else "out") not in states)
        and ("destroyed" not in states or osds.is_destroyed(map_, osd))
    )


def _chosen(map_: OSDMap, nodes: list[Node], states: frozenset[str]) -> list[Node]:
    """Those OSDs that fit, and the buckets that lead to them."""
    if not states:
        return nodes
    kept: list[Node] = []
    for node in reversed(nodes):
        leads = bool(kept) and kept[-1].depth > node.depth
        if leads if node.bucket is not None else _fits(map_, node.id, states):
            kept.append(node)
    return kept[::-1]


def _states(query: Query) -> frozenset[str]:
    return frozenset(map(str, query.arguments.get("states", ())))


def _show(query: Query, nodes: list[Node], strays: list[int] | None) -> Answer:
    map_ = query.state.osdmap
    views = []
    for node in nodes:
        view = treeview.view(map_, node)
        if node.bucket is None:
            view |= treeview.of_osd(map_, node.id)
        else:
            view["children"] = treeview.children(node)
        views.append(view)
    alone = [Node(osd, 0, 0) for osd in strays or ()]
    stray = []
    for node in alone:
        one = treeview.view(map_, node) | treeview.of_osd(map_, node.id)
        del one["pool_weights"]
        stray.append(one)
    rows = [_row(map_, node) for node in (*nodes, *alone)]
    found: dict[str, Any] = {"nodes": views}
    if strays is not None:
        found["stray"] = stray
    return query.show(found, table(_HEADINGS, rows, "TYPE NAME"))


def _row(map_: OSDMap, node: Node) -> tuple[object, ...]:
    crush = map_.crush
    weight = f"{node.weight / ONE:.5f}" if node.weight else "0"
    head = (node.id, treeview.class_of(crush, node.id), weight, treeview.label(map_, node))
    if node.bucket is not None:
        return (*head, "", "", "")
    found = treeview.of_osd(map_, node.id)
    affinity = found["primary_affinity"]
    return (*head, found["status"], f"{found['reweight']:.5f}", f"{affinity:.5f}")


def _tree(query: Query) -> Answer:
    map_, states = query.state.osdmap, _states(query)
    nodes = treeview.walk(map_.crush, treeview.roots(map_.crush))
    strays = [osd for osd in treeview.strays(map_) if _fits(map_, osd, states)]
    return _show(query, _chosen(map_, nodes, states), strays)


def _start(query: Query, name: str) -> int:
    try:
        return names.get_item(query.state.osdmap.crush, query.text(name))
    except NotFound:
        why = f"bucket '{query.text(name)}' not found"
        raise Failure(errno.ENOENT, why) from None


def _tree_from(query: Query) -> Answer:
    map_ = query.state.osdmap
    nodes = treeview.walk(map_.crush, [_start(query, "bucket")])
    return _show(query, _chosen(map_, nodes, _states(query)), None)


def _ls_tree(query: Query) -> Answer:
    nodes = treeview.walk(query.state.osdmap.crush, [_start(query, "name")])
    found = sorted(node.id for node in nodes if node.bucket is None)
    return query.show(found, "".join(f"{osd}\n" for osd in found))


def _crush_tree(query: Query) -> Answer:
    """Without what the map says of OSDs; with the copies for device classes, if they are wanted."""
    map_ = query.state.osdmap
    shadow = bool(query.arguments.get("show_shadow")) or query.text("shadow") == "--show-shadow"
    views: list[dict[str, Any]] = []
    rows = []
    nodes = treeview.walk(map_.crush, treeview.roots(map_.crush, shadow=shadow))
    for node in nodes:
        view = treeview.view(map_, node)
        if node.bucket is not None:
            view["children"] = treeview.children(node)
        views.append(view)
        weight = f"{node.weight / ONE:.5f}"
        kind = treeview.class_of(map_.crush, node.id)
        rows.append((node.id, kind, weight, treeview.label(map_, node)))
    text = table("ID|CLASS|WEIGHT|TYPE NAME", rows, "TYPE NAME")
    return query.show({"nodes": views, "stray": []}, text)


_EPOCH: Final = "name=epoch,type=CephInt,range=0,req=false"
_WANTED: Final = f"name=states,type=CephChoices,strings={'|'.join(STATES)},n=N,req=false"

TABLE: Final = (
    Command(f"osd tree {_EPOCH} {_WANTED}", "the tree of OSDs", "osd", "r", _tree),
    Command(
        f"osd tree-from {_EPOCH} name=bucket,type=CephString {_WANTED}",
        "the tree below a bucket",
        "osd",
        "r",
        _tree_from,
    ),
    Command(
        f"osd ls-tree {_EPOCH} name=name,type=CephString",
        "the OSDs below a bucket",
        "osd",
        "r",
        _ls_tree,
    ),
    Command(
        "osd crush tree name=shadow,type=CephChoices,strings=--show-shadow,req=false "
        "name=show_shadow,type=CephBool,req=false",
        "buckets and items as a tree",
        "osd",
        "r",
        _crush_tree,
    ),
)
