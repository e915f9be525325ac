# SPDX-License-Identifier: Apache-2.0
"""Commands about how much pools may hold, and what they are for."""

import errno
from collections.abc import Callable
from typing import Final

import msgspec

from octostack.engines.ceph.mon.core import pools, views
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.osd import changed
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.printing import bytes_text
from octostack.wire.ceph.maps.pool import Pool

_replace = msgspec.structs.replace


def _pool(query: Query) -> tuple[int, str, Pool]:
    name = query.text("pool")
    number = pools.get(query.state.osdmap, name)
    return number, name, query.state.osdmap.pools[number]


def _updated(query: Query, number: int, pool: Pool, status: str) -> Answer:
    return changed(pools.update(query.state.osdmap, number, pool, query.now_ns), status)


def _set(query: Query) -> Answer:
    number, name, pool = _pool(query)
    field, text = query.text("field"), query.text("val")
    try:
        value = _count(text) if field == "max_objects" else pools.size_bytes(text)
    except ValueError:
        raise Failure(errno.EINVAL, f"error parsing value '{text}'") from None
    made = _replace(pool, **{f"quota_{field}": value})
    return _updated(query, number, made, f"set-quota {field} = {value} for pool {name}")


def _count(text: str) -> int:
    unit = "kMGTPE".find(text[-1:]) if text[-1:].isalpha() else -1
    return int(text) if unit < 0 else int(text[:-1]) * 1000 ** (unit + 1)


def _get(query: Query) -> Answer:
    number, name, pool = _pool(query)
    objects, size = query.statistics.held(query.state.osdmap, number)
    view = {
        "pool_name": name,
        "pool_id": number,
        "quota_max_objects": pool.quota_max_objects,
        "current_num_objects": objects,
        "quota_max_bytes": pool.quota_max_bytes,
        "current_num_bytes": size,
    }
    most = f"{views.count_text(pool.quota_max_objects)} objects  "
    most_objects = f"{most}(current num objects: {objects} objects)"
    most_bytes = f"{bytes_text(pool.quota_max_bytes)}  (current num bytes: {size} bytes)"
    text = (
        f"quotas for pool '{name}':\n"
        f"  max objects: {most_objects if pool.quota_max_objects else 'N/A'}\n"
        f"  max bytes  : {most_bytes if pool.quota_max_bytes else 'N/A'}\n"
    )
    return query.show(view, text)


# Applications


def _app(query: Query) -> tuple[int, str, Pool, str, dict[str, str]]:
    number, name, pool = _pool(query)
    app = query.text("app")
    if app not in pool.application_metadata:
        raise Failure(errno.ENOENT, f"application '{app}' is not enabled on pool '{name}'")
    return number, name, pool, app, pool.application_metadata[app]


def _disable(query: Query) -> Answer:
    number, name, pool = _pool(query)
    app = query.text("app")
    if not query.arguments.get("yes_i_really_mean_it"):
        raise Failure(
            errno.EPERM,
            "Are you SURE? Disabling an application within a pool might result in loss of "
            "application functionality; pass --yes-i-really-mean-it to proceed anyway",
        )
    if app not in pool.application_metadata:
        return Answer(status=f"application '{app}' is not enabled on pool '{name}'")
    left = {key: value for key, value in pool.application_metadata.items() if key != app}
    made = _replace(pool, application_metadata=left)
    return _updated(query, number, made, f"disable application '{app}' on pool '{name}'")


def _set_key(query: Query) -> Answer:
    number, name, pool, app, known = _app(query)
    key, value = query.text("key"), query.text("value")
    apps = {**pool.application_metadata, app: {**known, key: value}}
    status = f"set application '{app}' key '{key}' to '{value}' on pool '{name}'"
    return _updated(query, number, _replace(pool, application_metadata=apps), status)


def _rm_key(query: Query) -> Answer:
    number, name, pool, app, known = _app(query)
    key = query.text("key")
    if key not in known:
        raise Failure(
            errno.ENOENT, f"application '{app}' on pool '{name}' does not have key '{key}'"
        )
    left = {one: value for one, value in known.items() if one != key}
    apps = {**pool.application_metadata, app: left}
    status = f"removed application '{app}' key '{key}' on pool '{name}'"
    return _updated(query, number, _replace(pool, application_metadata=apps), status)


def _get_app(query: Query) -> Answer:
    map_ = query.state.osdmap
    if not query.text("pool"):
        return query.show(
            {map_.pool_names[n]: pool.application_metadata for n, pool in map_.pools.items()}
        )
    _, name, pool = _pool(query)
    if not query.text("app"):
        return query.show(pool.application_metadata)
    _, _, _, app, known = _app(query)
    key = query.text("key")
    if not key:
        return query.show(known)
    if key not in known:
        raise Failure(errno.ENOENT, f"no key '{key}' in application '{app}' on pool '{name}'")
    return Answer(f"{known[key]}\n".encode())


def _line(words: str, says: str, act: Callable[[Query], Answer], permission: str = "rw") -> Command:
    return Command(f"osd pool {words}", says, "osd", permission, act)


_POOL: Final = "name=pool,type=CephPoolname"
_APP: Final = "name=app,type=CephString"
_KEY: Final = "name=key,type=CephString,goodchars=[A-Za-z0-9-_.]"

TABLE: Final = (
    _line(
        f"set-quota {_POOL} name=field,type=CephChoices,strings=max_objects|max_bytes "
        "name=val,type=CephString",
        "how many objects or bytes a pool may hold; 0: any number",
        _set,
    ),
    _line(f"get-quota {_POOL}", "how many it may hold", _get, "r"),
    _line(
        f"application disable {_POOL} {_APP} name=yes_i_really_mean_it,type=CephBool,req=false",
        "the pool is not for this any more",
        _disable,
    ),
    _line(
        f"application set {_POOL} {_APP} {_KEY} name=value,type=CephString",
        "note something for an application",
        _set_key,
    ),
    _line(f"application rm {_POOL} {_APP} {_KEY}", "forget it", _rm_key),
    _line(
        f"application get {_POOL},req=false {_APP},req=false {_KEY},req=false",
        "what pools are for, and what is noted",
        _get_app,
        "r",
    ),
)
