# SPDX-License-Identifier: Apache-2.0
"""Commands about CRUSH rules, device classes, tunables and weight sets."""

import errno
from functools import reduce
from typing import Final

import msgspec

from octostack.base.errors import Busy
from octostack.engines.ceph.core.crush import edit, names, rulebook, weight_sets
from octostack.engines.ceph.core.crush.rulebook import NewRule
from octostack.engines.ceph.core.crush.rules import DEFAULT_CHOOSE_ARGS
from octostack.engines.ceph.mon.core import crushview
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.crush import edited
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.pools import get as get_pool
from octostack.wire.ceph.maps.crush import ONE, CrushMap


def _crush(query: Query) -> CrushMap:
    return query.state.osdmap.crush


def _rule_names(query: Query) -> Answer:
    crush = _crush(query)
    found = [crush.rule_names.get(n, "") for n, rule in enumerate(crush.rules) if rule]
    return query.show(found, "".join(f"{name}\n" for name in found))


def _rule_dump(query: Query) -> Answer:
    crush, name = _crush(query), query.text("name")
    if not name:
        return query.show(crushview.rules(crush))
    number = names.find_rule(crush, name)
    rule = crush.rules[number] if number is not None else None
    if number is None or rule is None:
        raise Failure(errno.ENOENT, f"unknown crush rule '{name}'")
    return query.show(crushview.rule(crush, number, rule))


def _create_rule(query: Query) -> Answer:
    new = NewRule(
        query.text("name"),
        query.text("root"),
        query.text("type"),
        query.text("class"),
        query.text("mode", "firstn"),
    )
    if names.find_rule(_crush(query), new.name) is not None:
        return Answer(status=f"rule {new.name} already exists")
    return edited(query, lambda crush: rulebook.add_rule(crush, new)[0], "")


def _remove_rule(query: Query) -> Answer:
    name = query.text("name")
    number = names.find_rule(_crush(query), name)
    if number is None:
        return Answer(status=f"rule {name} does not exist")
    if any(pool.crush_rule == number for pool in query.state.osdmap.pools.values()):
        raise Failure(errno.EBUSY, f"crush ruleset {name} {number} is in use")
    return edited(query, lambda crush: rulebook.remove_rule(crush, name), "")


def _rename_rule(query: Query) -> Answer:
    old, new = query.text("srcname"), query.text("dstname")
    crush = _crush(query)
    if names.find_rule(crush, old) is None and names.find_rule(crush, new) is not None:
        return Answer(status=f"already renamed to '{new}'")
    return edited(query, lambda crush: rulebook.rename_rule(crush, old, new), "")


def _class_names(query: Query) -> Answer:
    crush = _crush(query)
    return query.show([crush.class_names[number] for number in sorted(crush.class_names)])


def _class_osds(query: Query) -> Answer:
    crush = _crush(query)
    number = names.find_class(crush, query.text("class"))
    found = sorted(item for item, of in crush.classes.items() if item >= 0 and of == number)
    return query.show(found, "".join(f"{osd}\n" for osd in found) or "\n")


def _osds(query: Query) -> tuple[list[int], str]:
    """The devices named that are in the map, and a line of those that are not."""
    crush = _crush(query)
    found, missing = [], ""
    for word in query.arguments["ids"]:
        text = str(word).removeprefix("osd.")
        if text in {"all", "any", "*"}:
            return sorted(item for item in crush.names if item >= 0), ""
        if not text.isdigit():
            raise Failure(errno.EINVAL, f'unable to parse osd id:"{word}"')
        if int(text) in crush.names:
            found.append(int(text))
        else:
            missing += f"osd.{text} does not exist. "
    return found, missing


def _set_class(query: Query) -> Answer:
    osds, missing = _osds(query)
    name = query.text("class")

    def change(crush: CrushMap) -> CrushMap:
        try:
            return reduce(lambda c, osd: rulebook.set_class(c, osd, name), osds, crush)
        except Busy as error:
            message = (
                f"{error.message}, can not reset class to '{name}'; use 'ceph osd crush "
                "rm-device-class <id>' to remove old class first"
            )
            raise Busy(message) from error

    return edited(
        query, change, f"{missing}set osd(s) {','.join(map(str, osds))} to class '{name}'"
    )


def _remove_class(query: Query) -> Answer:
    osds, missing = _osds(query)
    done = f"{missing}done removing class of osd(s): {','.join(map(str, osds))}"
    return edited(query, lambda crush: reduce(rulebook.remove_class, osds, crush), done)


def _rename_class(query: Query) -> Answer:
    old, new = query.text("srcname"), query.text("dstname")
    crush = _crush(query)
    if names.find_class(crush, old) is None and names.find_class(crush, new) is not None:
        return Answer(status=f"already renamed to '{new}'")
    done = f"rename class '{old}' to '{new}'"
    return edited(query, lambda crush: rulebook.rename_class(crush, old, new), done)


def _create_class(query: Query) -> Answer:
    name, crush = query.text("class"), _crush(query)
    number = names.find_class(crush, name)
    if number is not None:
        return Answer(status=f"class '{name}' already exists")
    made = rulebook.create_class(crush, name)
    done = f"created class {name} with id {names.find_class(made, name)} to crush map"
    return edited(query, lambda _crush: made, done)


def _drop_class(query: Query) -> Answer:
    name, crush = query.text("class"), _crush(query)
    number = names.find_class(crush, name)
    if number is None:
        return Answer()
    if number in crush.classes.values():
        raise Failure(errno.EBUSY, f"osds are in the class '{name}'")
    done = f"removed class {name} with id {number} from crush map"
    return edited(query, lambda crush: rulebook.drop_class(crush, name), done)


def _rules_of_class(query: Query) -> Answer:
    name, crush = query.text("class"), _crush(query)
    if names.find_class(crush, name) is None:
        raise Failure(errno.ENOENT, f"failed to get class '{name}'")
    found = [
        crush.rule_names.get(number, "")
        for number, rule in enumerate(crush.rules)
        if rule and any(crush.names.get(step.arg1, "").endswith(f"~{name}") for step in rule.steps)
    ]
    return query.show(found, "".join(f"{one}\n" for one in found))


def _swap(query: Query) -> Answer:
    source, target = query.text("source"), query.text("dest")
    done = f"swapped bucket of {source} to {target}"
    return edited(query, lambda crush: edit.swap_buckets(crush, source, target), done)


def _to_straw2(query: Query) -> Answer:
    return edited(query, edit.to_straw2, "")


def _get_class(query: Query) -> Answer:
    crush, (osds, _) = _crush(query), _osds(query)
    found = [(osd, crush.class_names.get(crush.classes.get(osd, -1), "")) for osd in osds]
    view = [{"osd": osd, "device_class": name} for osd, name in found]
    return query.show(view, "".join(f"{name}\n" for _, name in found))


def _set_profile(query: Query) -> Answer:
    name = query.text("profile")
    done = f"adjusted tunables profile to {name}"
    return edited(query, lambda crush: rulebook.set_profile(crush, name), done)


def _set_tunable(query: Query) -> Answer:
    name, value = query.text("tunable"), int(query.text("value"))

    def change(crush: CrushMap) -> CrushMap:
        tunables = msgspec.structs.replace(crush.tunables, straw_calc_version=value)
        return msgspec.structs.replace(crush, tunables=tunables)

    if name != "straw_calc_version" or value not in (0, 1):
        raise Failure(errno.EINVAL, "value must be 0 or 1; got " + query.text("value"))
    return edited(query, change, f"adjusted tunable {name} to {value}")


def _get_tunable(query: Query) -> Answer:
    value = _crush(query).tunables.straw_calc_version
    return query.show({"straw_calc_version": value}, f"{value}\n")


def _set_number(query: Query) -> int:
    """The weight set that the command is about: a pool's, or the one for all others."""
    pool = query.text("pool")
    return get_pool(query.state.osdmap, pool) if pool else DEFAULT_CHOOSE_ARGS


def _weight_set_names(query: Query) -> Answer:
    pools = query.state.osdmap.pool_names
    found = [
        "(compat)" if number == DEFAULT_CHOOSE_ARGS else pools.get(number, str(number))
        for number in sorted(_crush(query).choose_args)
    ]
    return query.show(found, "".join(f"{name}\n" for name in found) or "\n")


def _create_set(query: Query) -> Answer:
    number, pool = _set_number(query), query.text("pool")
    if number in _crush(query).choose_args:
        name = f"weight-set for pool '{pool}'" if pool else "compat weight-set"
        return Answer(status=f"{name} already created")
    places = 1
    if query.text("mode") == "positional":
        places = query.state.osdmap.pools[number].size
    return edited(query, lambda crush: weight_sets.create(crush, number, places), "")


def _reweight_set(query: Query) -> Answer:
    number, item = _set_number(query), query.text("item")
    weights = [int(float(weight) * ONE) for weight in query.arguments["weight"]]
    return edited(query, lambda crush: weight_sets.reweight(crush, number, item, weights), "")


def _remove_set(query: Query) -> Answer:
    number = _set_number(query)
    return edited(query, lambda crush: weight_sets.remove(crush, number), "")


_N: Final = "type=CephString,goodchars=[A-Za-z0-9-_.]"
_C: Final = "type=CephString,goodchars=[A-Za-z0-9-_]"
_RULE: Final = f"name=name,{_N} name=root,{_N} name=type,{_N}"
_IDS: Final = "name=ids,type=CephString,n=N"
_POOL: Final = "name=pool,type=CephPoolname"
_WEIGHTS: Final = "name=item,type=CephString name=weight,type=CephFloat,range=0.0,n=N"
_PROFILES: Final = "legacy|argonaut|bobtail|firefly|hammer|jewel|optimal|default"
_TUNABLE: Final = "name=tunable,type=CephChoices,strings=straw_calc_version"

TABLE: Final = tuple(
    Command(f"osd crush {words}", says, "osd", permission, act)
    for words, says, permission, act in (
        (f"class create name=class,{_N}", "create a device class", "rw", _create_class),
        (f"class rm name=class,{_N}", "remove one that no device has", "rw", _drop_class),
        (f"rule ls-by-class name=class,{_N}", "rules for a class", "r", _rules_of_class),
        (
            f"swap-bucket name=source,{_N} name=dest,{_N} "
            "name=yes_i_really_mean_it,type=CephBool,req=false",
            "exchange what is in two buckets",
            "rw",
            _swap,
        ),
        (
            "set-all-straw-buckets-to-straw2",
            "draw from all straw buckets as from straw2",
            "rw",
            _to_straw2,
        ),
        ("rule ls", "list crush rules", "r", _rule_names),
        ("rule list", "list crush rules", "r", _rule_names),
        (
            f"rule dump name=name,{_N},req=false",
            "dump crush rule <name> (default all)",
            "r",
            _rule_dump,
        ),
        (
            f"rule create-simple {_RULE} name=mode,type=CephChoices,strings=firstn|indep,req=false",
            "create crush rule <name> to start from <root>, replicate across buckets of type "
            "<type>, using a choose mode of <firstn|indep>",
            "rw",
            _create_rule,
        ),
        (
            f"rule create-replicated {_RULE} name=class,{_N},req=false",
            "create crush rule <name> for replicated pool to start from <root>, replicate across "
            "buckets of type <type>, use devices of type <class> (ssd or hdd)",
            "rw",
            _create_rule,
        ),
        (f"rule rm name=name,{_N}", "remove crush rule <name>", "rw", _remove_rule),
        (
            f"rule rename name=srcname,{_N} name=dstname,{_N}",
            "rename crush rule <srcname> to <dstname>",
            "rw",
            _rename_rule,
        ),
        ("class ls", "list all crush device classes", "r", _class_names),
        (
            f"class ls-osd name=class,{_C}",
            "list all osds belonging to the specific <class>",
            "r",
            _class_osds,
        ),
        (
            f"class rename name=srcname,{_C} name=dstname,{_C}",
            "rename crush device class <srcname> to <dstname>",
            "rw",
            _rename_class,
        ),
        (
            f"set-device-class name=class,type=CephString {_IDS}",
            "set the <class> of the osd(s) <id> [<id>...],or use <all|any> to set all.",
            "rw",
            _set_class,
        ),
        (
            f"rm-device-class {_IDS}",
            "remove class of the osd(s) <id> [<id>...],or use <all|any> to remove all.",
            "rw",
            _remove_class,
        ),
        (
            f"get-device-class {_IDS}",
            "get classes of specified osd(s) <id> [<id>...]",
            "r",
            _get_class,
        ),
        (
            f"tunables name=profile,type=CephChoices,strings={_PROFILES}",
            "set crush tunables values to <profile>",
            "rw",
            _set_profile,
        ),
        (
            f"set-tunable {_TUNABLE} name=value,type=CephInt",
            "set crush tunable <tunable> to <value>",
            "rw",
            _set_tunable,
        ),
        (f"get-tunable {_TUNABLE}", "get crush tunable <tunable>", "r", _get_tunable),
        (
            "show-tunables",
            "show current crush tunables",
            "r",
            lambda query: query.show(crushview.tunables(_crush(query))),
        ),
        ("weight-set ls", "list crush weight sets", "r", _weight_set_names),
        (
            "weight-set dump",
            "dump crush weight sets",
            "r",
            lambda query: query.show(crushview.weight_sets(_crush(query))),
        ),
        (
            "weight-set create-compat",
            "create a default backward-compatible weight-set",
            "rw",
            _create_set,
        ),
        (
            f"weight-set create {_POOL} name=mode,type=CephChoices,strings=flat|positional",
            "create a weight-set for a given pool",
            "rw",
            _create_set,
        ),
        (f"weight-set rm {_POOL}", "remove the weight-set for a given pool", "rw", _remove_set),
        (
            "weight-set rm-compat",
            "remove the backward-compatible weight-set",
            "rw",
            _remove_set,
        ),
        (
            f"weight-set reweight {_POOL} {_WEIGHTS}",
            "set weight for an item (bucket or osd) in a pool's weight-set",
            "rw",
            _reweight_set,
        ),
        (
            f"weight-set reweight-compat {_WEIGHTS}",
            "set weight for an item (bucket or osd) in the backward-compatible weight-set",
            "rw",
            _reweight_set,
        ),
    )
)
