# SPDX-License-Identifier: Apache-2.0
"""Commands about the profiles of erasure codes."""

import errno
from typing import Final

import msgspec

from octostack.engines.ceph.mon.core import code_profiles
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.osd import changed
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.state import next_change


def _list(query: Query) -> Answer:
    names = sorted(query.state.osdmap.erasure_code_profiles)
    return query.show(names, "".join(f"{name}\n" for name in names))


def _get(query: Query) -> Answer:
    name = query.text("name")
    found = query.state.osdmap.erasure_code_profiles.get(name)
    if found is None:
        raise Failure(errno.ENOENT, f"unknown erasure code profile '{name}'")
    lines = "".join(f"{key}={value}\n" for key, value in sorted(found.items()))
    return query.show(dict(sorted(found.items())), lines)


def _set(query: Query) -> Answer:
    map_, name = query.state.osdmap, query.text("name")
    force = bool(query.arguments.get("force"))
    wanted = code_profiles.parse([str(word) for word in query.arguments.get("profile", ())])
    domain = wanted.get("crush-failure-domain")
    if domain is not None and domain not in map_.crush.type_names.values():
        why = f'contains an invalid failure-domain "{domain}"'
        raise Failure(errno.EINVAL, f"erasure-code-profile {_shown(wanted)} {why}")
    made = code_profiles.complete(wanted, force=force)
    known = map_.erasure_code_profiles.get(name)
    if known is not None:
        known = code_profiles.complete(known, force=force)
    if known == made:
        return Answer()
    if known is not None and not force:
        raise Failure(
            errno.EPERM,
            f"will not override erasure code profile {name} because the existing profile "
            f"{_shown(known)} is different from the proposed profile {_shown(made)}",
        )
    step = msgspec.structs.replace(
        next_change(map_, query.now_ns), new_erasure_code_profiles={name: made}
    )
    return changed(step, "")


def _shown(profile: dict[str, str]) -> str:
    return "{" + ",".join(f"{key}={value}" for key, value in sorted(profile.items())) + "}"


def _rm(query: Query) -> Answer:
    map_, name = query.state.osdmap, query.text("name")
    if name not in map_.erasure_code_profiles:
        return Answer(status=f"erasure-code-profile {name} does not exist")
    for number, pool in map_.pools.items():
        if pool.erasure_code_profile == name:
            pool_name = map_.pool_names[number]
            why = f"{pool_name} pool(s) are using the erasure code profile '{name}'"
            raise Failure(errno.EBUSY, why)
    step = msgspec.structs.replace(
        next_change(map_, query.now_ns), old_erasure_code_profiles=(name,)
    )
    return changed(step, "")


_NAME: Final = "name=name,type=CephString,goodchars=[A-Za-z0-9-_.]"
_WORDS: Final = "osd erasure-code-profile"

TABLE: Final = (
    Command(f"{_WORDS} ls", "the profiles there are", "osd", "r", _list),
    Command(f"{_WORDS} get {_NAME}", "what a profile says", "osd", "r", _get),
    Command(f"{_WORDS} rm {_NAME}", "remove a profile", "osd", "rw", _rm),
    Command(
        f"{_WORDS} set {_NAME} name=profile,type=CephString,n=N,req=false "
        "name=force,type=CephBool,req=false",
        "make a profile of <key>=<value> ...",
        "osd",
        "rw",
        _set,
    ),
)
