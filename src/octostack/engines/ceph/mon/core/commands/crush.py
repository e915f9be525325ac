# SPDX-License-Identifier: Apache-2.0
"""Commands that look at the CRUSH tree and edit it."""

import errno
from collections.abc import Callable
from typing import Final

import msgspec

from octostack.base.errors import Busy, Conflict, Invalid, NotFound, OctoError
from octostack.engines.ceph.core.crush import check, edit, names
from octostack.engines.ceph.mon.core import crushview
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.state import Change, next_change
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import ONE, CrushMap

_ERRNO: Final = {NotFound: errno.ENOENT, Conflict: errno.EEXIST, Busy: errno.EBUSY}
Edit = Callable[[CrushMap], CrushMap]


def edited(query: Query, change: Edit, done: str, unchanged: str = "") -> Answer:
    """The answer that follows from an edit of the map. Raises Failure for what it refuses."""
    osdmap = query.state.osdmap
    try:
        after = change(osdmap.crush)
    except OctoError as error:
        if error.code == "crush.not_empty":
            raise Failure(errno.ENOTEMPTY, "(39) Directory not empty") from error
        raise Failure(_ERRNO.get(type(error), errno.EINVAL), error.message) from error
    if after == osdmap.crush:
        return Answer(status=unchanged or done)
    blob = wire.encode(after)
    step = msgspec.structs.replace(next_change(osdmap, query.now_ns), crush=blob)
    return Answer(status=done, change=Change(osdmap=step))


def _location(query: Query) -> dict[str, str]:
    found = {}
    for word in query.arguments.get("args", ()):
        kind, mark, name = str(word).partition("=")
        if not (kind and mark and name):
            raise Failure(errno.EINVAL, f"invalid location '{word}'")
        found[kind] = name
    return found


def _shown(location: dict[str, str]) -> str:
    return "{" + ",".join(f"{kind}={location[kind]}" for kind in sorted(location)) + "}"


def _weight(query: Query) -> tuple[int, str]:
    """A weight as 16.16 fixed point, and as it is shown."""
    weight = float(query.text("weight"))
    return int(weight * ONE), f"{weight:g}"


def _osd(query: Query) -> int:
    text = query.text("id").removeprefix("osd.")
    if not text.isdigit() or int(text) >= query.state.osdmap.max_osd:
        raise Failure(errno.ENOENT, f"osd.{text} does not exist. Create it before updating the map")
    return int(text)


def _dump(query: Query) -> Answer:
    return query.show(crushview.dump(query.state.osdmap.crush))


def _ls(query: Query) -> Answer:
    try:
        found = crushview.children(query.state.osdmap.crush, query.text("node"))
    except NotFound:
        message = f"node '{query.text('node')}' does not exist"
        raise Failure(errno.ENOENT, message) from None
    return query.show(found, "".join(f"{name}\n" for name in found))


def _set_map(query: Query) -> Answer:
    osdmap = query.state.osdmap
    prior = int(query.arguments.get("prior_version", osdmap.crush_version))
    if prior != osdmap.crush_version:
        message = f"prior_version {prior} != crush version {osdmap.crush_version}"
        raise Failure(errno.EPERM, message)
    try:
        crush = wire.decode(query.data)
    except Invalid as error:
        raise Failure(errno.EINVAL, f"Failed to parse crushmap: {error.message}") from error
    used = frozenset(pool.crush_rule for pool in osdmap.pools.values())
    try:
        check.check(crush, used)
    except Invalid as error:
        raise Failure(errno.EINVAL, error.message) from error
    step = msgspec.structs.replace(next_change(osdmap, query.now_ns), crush=query.data)
    return Answer(status=str(osdmap.crush_version + 1), change=Change(osdmap=step))


def _place(query: Query, word: str, change: Callable[..., CrushMap]) -> Answer:
    """`set`, `add` and `create-or-move`: a device with a weight at a location."""
    osd, location = _osd(query), _location(query)
    weight, shown = _weight(query)
    what = f"item id {osd} name 'osd.{osd}' weight {shown} at location {_shown(location)}"
    if word == "create-or-move":
        what = f"item name 'osd.{osd}' weight {shown} at location {_shown(location)}"
        done, same = f"create-or-move updated {what} to crush map", f"create-or-move updated {what}"
        same += " to crush map"
    else:
        done, same = f"{word} {what} to crush map", f"{word} {what}: no change"
    return edited(
        query, lambda crush: change(crush, osd, weight, f"osd.{osd}", location), done, same
    )


def _add_bucket(query: Query) -> Answer:
    name, kind, location = query.text("name"), query.text("type"), _location(query)
    if names.find_item(query.state.osdmap.crush, name) is not None:
        return Answer(status=f"bucket '{name}' already exists")
    where = f" to location {_shown(location)}" if location else " to crush map"
    done = f"added bucket {name} type {kind}{where}"
    return edited(query, lambda crush: edit.add_bucket(crush, name, kind, location or None), done)


def _rename_bucket(query: Query) -> Answer:
    old, new = query.text("srcname"), query.text("dstname")
    crush = query.state.osdmap.crush
    if names.find_item(crush, old) is None and names.find_item(crush, new) is not None:
        status = f"srcname = '{old}' does not exist and dstname = '{new}' already exists"
        return Answer(status=status)
    done = f"renamed bucket {old} into {new}"
    return edited(query, lambda crush: edit.rename_bucket(crush, old, new), done)


def _move(query: Query) -> Answer:
    name, location = query.text("name"), _location(query)
    item = names.find_item(query.state.osdmap.crush, name)
    what = f"item id {item} name '{name}' to location {_shown(location)} in crush map"
    return edited(
        query,
        lambda crush: edit.move(crush, name, location),
        f"moved {what}",
        f"no need to move {what}",
    )


def _link(query: Query) -> Answer:
    name, location = query.text("name"), _location(query)
    item = names.find_item(query.state.osdmap.crush, name)
    done = f"linked item id {item} name '{name}' to location {_shown(location)} in crush map"
    return edited(query, lambda crush: edit.link(crush, name, location), done)


def _remove(query: Query, *, unlink: bool) -> Answer:
    name, ancestor = query.text("name"), query.text("ancestor")
    item = names.find_item(query.state.osdmap.crush, name)
    if item is None:
        return Answer(status=f"device '{name}' does not appear in the crush map")
    done = f"removed item id {item} name '{name}' from crush map"
    if ancestor:
        return edited(
            query,
            lambda crush: edit.remove_item_under(crush, name, ancestor, unlink=unlink),
            done,
        )
    return edited(query, lambda crush: edit.remove_item(crush, name, unlink=unlink), done)


def _reweight(query: Query, *, subtree: bool) -> Answer:
    name = query.text("name")
    item = names.find_item(query.state.osdmap.crush, name)
    if item is None:
        raise Failure(errno.ENOENT, f"device '{name}' does not appear in the crush map")
    if item < 0 and not subtree:
        raise Failure(errno.EINVAL, f"device '{name}' is not a leaf in the crush map")
    if item >= 0 and subtree:
        raise Failure(errno.EINVAL, f"device '{name}' is not a subtree in the crush map")
    weight, shown = _weight(query)
    what = "subtree" if subtree else "item"
    change = edit.reweight_subtree if subtree else edit.reweight
    done = f"reweighted {what} id {item} name '{name}' to {shown} in crush map"
    return edited(query, lambda crush: change(crush, name, weight), done)


_NAME: Final = "type=CephString,goodchars=[A-Za-z0-9-_.]"
_ARGS: Final = "name=args,type=CephString,n=N,goodchars=[A-Za-z0-9-_.=]"
_PLACED: Final = f"name=id,type=CephOsdName name=weight,type=CephFloat,range=0.0 {_ARGS}"
_BELOW: Final = f"name=name,{_NAME} name=ancestor,{_NAME},req=false"
_HEAVY: Final = f"name=name,{_NAME} name=weight,type=CephFloat,range=0.0"


def _line(words: str, says: str, act: Callable[[Query], Answer], permission: str = "rw") -> Command:
    return Command(f"osd {words}", says, "osd", permission, act)


TABLE: Final = (
    _line("crush dump", "dump crush map", _dump, "r"),
    _line(f"crush ls name=node,{_NAME}", "list items beneath a node in the CRUSH tree", _ls, "r"),
    _line(
        "setcrushmap name=prior_version,type=CephInt,req=false",
        "set crush map from input file",
        _set_map,
    ),
    _line(
        f"crush set {_PLACED}",
        "update crushmap position and weight for <name> to <weight> with location <args>",
        lambda query: _place(query, "set", edit.update_item),
    ),
    _line(
        f"crush add {_PLACED}",
        "add or update crushmap position and weight for <name> with <weight> and location <args>",
        lambda query: _place(query, "add", edit.update_item),
    ),
    _line(
        f"crush create-or-move {_PLACED}",
        "create entry or move existing entry for <name> <weight> at/to location <args>",
        lambda query: _place(query, "create-or-move", edit.create_or_move),
    ),
    _line(
        f"crush add-bucket name=name,{_NAME} name=type,type=CephString {_ARGS},req=false",
        "add no-parent (probably root) crush bucket <name> of type <type> to location <args>",
        _add_bucket,
    ),
    _line(
        f"crush rename-bucket name=srcname,{_NAME} name=dstname,{_NAME}",
        "rename bucket <srcname> to <dstname>",
        _rename_bucket,
    ),
    _line(
        f"crush move name=name,{_NAME} {_ARGS}",
        "move existing entry for <name> to location <args>",
        _move,
    ),
    _line(
        f"crush link name=name,type=CephString {_ARGS}",
        "link existing entry for <name> under location <args>",
        _link,
    ),
    _line(
        f"crush rm {_BELOW}",
        "remove <name> from crush map (everywhere, or just at <ancestor>)",
        lambda query: _remove(query, unlink=False),
    ),
    _line(
        f"crush remove {_BELOW}",
        "remove <name> from crush map (everywhere, or just at <ancestor>)",
        lambda query: _remove(query, unlink=False),
    ),
    _line(
        f"crush unlink {_BELOW}",
        "unlink <name> from crush map (everywhere, or just at <ancestor>)",
        lambda query: _remove(query, unlink=True),
    ),
    _line(
        f"crush reweight {_HEAVY}",
        "change <name>'s weight to <weight> in crush map",
        lambda query: _reweight(query, subtree=False),
    ),
    _line(
        f"crush reweight-subtree {_HEAVY}",
        "change all leaf items beneath <name> to <weight> in crush map",
        lambda query: _reweight(query, subtree=True),
    ),
    _line(
        "crush reweight-all",
        "recalculate the weights for the tree to ensure they sum correctly",
        lambda query: edited(query, edit.reweight_all, "reweighted crush hierarchy"),
    ),
)
