# SPDX-License-Identifier: Apache-2.0
"""Commands about pools."""

import errno
from typing import Final

import msgspec

from octostack.engines.ceph.mon.core import coded_pools, osdview, pools
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.osd import changed
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.settings import number_of
from octostack.wire.ceph.maps.osdmap import Incremental

_replace = msgspec.structs.replace
_DEFAULT_CODE: Final = "default"
_DEFAULT_RULE: Final = "erasure-code"


def _create(query: Query) -> Answer:
    map_ = query.state.osdmap
    name = query.text("pool")
    if pools.find(map_, name) is not None:
        return Answer(status=f"pool '{name}' already exists")
    config = query.config
    size = int(query.arguments.get("size") or number_of(config, "osd_pool_default_size"))
    wanted = pools.Wanted(
        name,
        int(query.arguments.get("pg_num") or number_of(config, "osd_pool_default_pg_num")),
        size,
        number_of(config, "osd_pool_default_min_size"),
    )
    if query.text("pool_type", "replicated") == "erasure":
        change = _create_coded(query, wanted)
    else:
        change = pools.create(map_, wanted, query.now_ns)
    return changed(change, f"pool '{name}' created")


def _create_coded(query: Query, wanted: pools.Wanted) -> Incremental:
    """Its size is that of the code; its rule is named as it is unless another is asked for, or the
    code is the default one."""
    profile = query.text("erasure_code_profile") or _DEFAULT_CODE
    rule = query.text("rule") or (_DEFAULT_RULE if profile == _DEFAULT_CODE else wanted.name)
    unit = number_of(query.state.config, "osd_pool_erasure_code_stripe_unit")
    code = coded_pools.Code(profile, unit)
    least = int(query.arguments.get("min_size") or 0)
    wanted = _replace(wanted, min_size=least)
    return coded_pools.create(query.state.osdmap, wanted, code, rule, query.now_ns)


def _delete(query: Query) -> Answer:
    map_ = query.state.osdmap
    name = query.text("pool")
    number = pools.find(map_, name)
    if number is None:
        return Answer(status=f"pool '{name}' does not exist")
    sure = query.arguments.get("yes_i_really_really_mean_it")
    if query.text("pool2") != name or not (sure or query.text("sure")):
        raise Failure(
            errno.EPERM,
            f"WARNING: this will *PERMANENTLY DESTROY* all data stored in pool {name}.  If you "
            "are *ABSOLUTELY CERTAIN* that is what you want, pass the pool name *twice*, "
            "followed by --yes-i-really-really-mean-it.",
        )
    if number_of(query.config, "mon_allow_pool_delete") == 0:
        raise Failure(
            errno.EPERM,
            "pool deletion is disabled; you must first set the mon_allow_pool_delete config "
            "option to true before you can destroy a pool",
        )
    return changed(pools.remove(map_, number, query.now_ns), f"pool '{name}' removed")


def _rename(query: Query) -> Answer:
    map_ = query.state.osdmap
    old, new = query.text("srcpool"), query.text("destpool")
    change = pools.rename(map_, pools.get(map_, old), new, query.now_ns)
    return changed(change, f"pool '{old}' renamed to '{new}'")


def _set(query: Query) -> Answer:
    map_ = query.state.osdmap
    number = pools.get(map_, query.text("pool"))
    name, value = query.text("var"), query.text("val")
    pool = pools.setting(map_, number, name, value)
    change = pools.update(map_, number, pool, query.now_ns)
    return changed(change, f"set pool {number} {name} to {value}")


def _get(query: Query) -> Answer:
    map_ = query.state.osdmap
    number = pools.get(map_, query.text("pool"))
    name = query.text("var")
    found: dict[str, object] = {}
    for one in pools.SHOWN if name == "all" else (name,):
        try:
            found[one] = pools.get_setting(map_, number, one)
        except Failure:
            if name != "all":
                raise
    text = "".join(f"{one}: {_shown(one, value)}\n" for one, value in found.items())
    return query.show({"pool": map_.pool_names[number], "pool_id": number, **found}, text)


def _shown(name: str, value: object) -> object:
    if isinstance(value, bool):
        return int(value) if name == "use_gmt_hitset" else str(value).lower()
    return value


def _ls(query: Query) -> Answer:
    map_ = query.state.osdmap
    if query.text("detail") == "detail":
        found = [osdview.pool(map_, number, "pool_id") for number in sorted(map_.pools)]
        text = "".join(osdview.pool_text(map_, number) for number in sorted(map_.pools))
        return query.show(found, text + "\n")
    names = [map_.pool_names[number] for number in sorted(map_.pools)]
    return query.show(names, "".join(f"{name}\n" for name in names) or "\n")


def _lspools(query: Query) -> Answer:
    map_ = query.state.osdmap
    found = [
        {"poolnum": number, "poolname": map_.pool_names[number]} for number in sorted(map_.pools)
    ]
    text = "".join(f"{pool['poolnum']} {pool['poolname']}\n" for pool in found)
    return query.show(found, text or "\n")


def _enable(query: Query) -> Answer:
    map_ = query.state.osdmap
    name, app = query.text("pool"), query.text("app")
    number = pools.get(map_, name)
    pool = map_.pools[number]
    status = f"enabled application '{app}' on pool '{name}'"
    if app in pool.application_metadata:
        return Answer(status=status)
    if pool.application_metadata and not query.arguments.get("yes_i_really_mean_it"):
        raise Failure(
            errno.EPERM,
            f"Are you SURE? Pool '{name}' already has an enabled application; pass "
            "--yes-i-really-mean-it to proceed anyway",
        )
    made = _replace(pool, application_metadata={**pool.application_metadata, app: {}})
    return changed(pools.update(map_, number, made, query.now_ns), status)


def _mksnap(query: Query) -> Answer:
    map_ = query.state.osdmap
    name, snap = query.text("pool"), query.text("snap")
    change = pools.create_snap(map_, pools.get(map_, name), snap, query.now_ns)
    return changed(change, f"created pool {name} snap {snap}")


def _rmsnap(query: Query) -> Answer:
    map_ = query.state.osdmap
    name, snap = query.text("pool"), query.text("snap")
    change = pools.remove_snap(map_, pools.get(map_, name), snap, query.now_ns)
    return changed(change, f"removed pool {name} snap {snap}")


_POOL: Final = "name=pool,type=CephPoolname"

TABLE: Final = (
    Command(
        "osd pool create name=pool,type=CephPoolname name=pg_num,type=CephInt,range=0,req=false "
        "name=pgp_num,type=CephInt,range=0,req=false "
        "name=pool_type,type=CephChoices,strings=replicated|erasure,req=false "
        "name=erasure_code_profile,type=CephString,req=false,goodchars=[A-Za-z0-9-_.] "
        "name=rule,type=CephString,req=false "
        "name=expected_num_objects,type=CephInt,range=0,req=false "
        "name=size,type=CephInt,range=0,req=false",
        "create pool",
        "osd",
        "rw",
        _create,
    ),
    Command(
        "osd pool delete name=pool,type=CephPoolname name=pool2,type=CephPoolname,req=false "
        "name=yes_i_really_really_mean_it,type=CephBool,req=false",
        "delete pool",
        "osd",
        "rw",
        _delete,
    ),
    Command(
        "osd pool rm name=pool,type=CephPoolname name=pool2,type=CephPoolname,req=false "
        "name=yes_i_really_really_mean_it,type=CephBool,req=false",
        "remove pool",
        "osd",
        "rw",
        _delete,
    ),
    Command(
        "osd pool rename name=srcpool,type=CephPoolname name=destpool,type=CephPoolname",
        "rename <srcpool> to <destpool>",
        "osd",
        "rw",
        _rename,
    ),
    Command(
        f"osd pool set {_POOL} name=var,type=CephChoices,strings={'|'.join(pools.SETTABLE)} "
        "name=val,type=CephString name=yes_i_really_mean_it,type=CephBool,req=false",
        "set pool parameter <var> to <val>",
        "osd",
        "rw",
        _set,
    ),
    Command(
        f"osd pool get {_POOL} name=var,type=CephChoices,strings=all|{'|'.join(pools.SHOWN)}",
        "get pool parameter <var>",
        "osd",
        "r",
        _get,
    ),
    Command(
        "osd pool ls name=detail,type=CephChoices,strings=detail,req=false",
        "list pools",
        "osd",
        "r",
        _ls,
    ),
    Command("osd lspools", "list pools", "osd", "r", _lspools),
    Command(
        f"osd pool application enable {_POOL} name=app,type=CephString,goodchars=[A-Za-z0-9-_.] "
        "name=yes_i_really_mean_it,type=CephBool,req=false",
        "enable use of an application <app> [cephfs,rbd,rgw] on pool <poolname>",
        "osd",
        "rw",
        _enable,
    ),
    Command(
        f"osd pool mksnap {_POOL} name=snap,type=CephString",
        "make snapshot <snap> in <pool>",
        "osd",
        "rw",
        _mksnap,
    ),
    Command(
        f"osd pool rmsnap {_POOL} name=snap,type=CephString",
        "remove snapshot <snap> from <pool>",
        "osd",
        "rw",
        _rmsnap,
    ),
)
