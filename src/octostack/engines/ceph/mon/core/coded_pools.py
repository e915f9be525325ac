# SPDX-License-Identifier: Apache-2.0
"""Making erasure-coded pools: a profile says the code, and where its shards go."""

import errno
from collections.abc import Mapping

import msgspec

from octostack.base.errors import Conflict, NotFound, OctoError
from octostack.engines.ceph.core.codes.matrices import parity_rows
from octostack.engines.ceph.core.crush import names, rulebook
from octostack.engines.ceph.mon.core import code_profiles, pools
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.wire.ceph.maps import crush as crush_wire
from octostack.wire.ceph.maps.osdmap import Incremental, OSDMap
from octostack.wire.ceph.maps.pool import ERASURE

_replace = msgspec.structs.replace


class Code(msgspec.Struct, frozen=True):
    """Of a pool to be: the name of its profile, and the bytes that a shard gets of a stripe where
    that does not say so."""

    profile: str
    unit: int


def create(
    osdmap: OSDMap, wanted: pools.Wanted, code: Code, rule_name: str, now_ns: int
) -> Incremental:
    """A new pool, with a rule of that name unless there is one. Raises Failure."""
    profile = osdmap.erasure_code_profiles.get(code.profile)
    if profile is None:
        why = "cannot determine the erasure code plugin because there is no 'plugin' entry"
        raise Failure(errno.EINVAL, f"{why} in the erasure_code_profile {{}}")
    profile = code_profiles.complete(profile, force=True)
    k, m = _sizes(profile)
    unit = code_profiles.unit_of(profile, code.unit)
    crush, known = osdmap.crush, names.find_rule(osdmap.crush, rule_name)
    if known is None:
        try:
            crush, known = rulebook.add_rule(crush, _rule(rule_name, profile, k + m))
        except (NotFound, Conflict) as error:
            raise Failure(errno.ENOENT, error.message) from error
        except OctoError as error:
            raise Failure(errno.EINVAL, error.message) from error
    sized = _replace(
        wanted,
        size=k + m,
        min_size=wanted.min_size or k + min(1, m - 1),
        crush_rule=known,
        coded=True,
    )
    change = pools.create(_replace(osdmap, crush=crush), sized, now_ns)
    ((number, pool),) = change.new_pools.items()
    pool = _replace(pool, type=ERASURE, erasure_code_profile=code.profile, stripe_width=k * unit)
    change = _replace(change, new_pools={number: pool})
    return change if crush is osdmap.crush else _replace(change, crush=crush_wire.encode(crush))


def _sizes(profile: Mapping[str, str]) -> tuple[int, int]:
    k, m = int(profile["k"]), int(profile["m"])
    try:
        parity_rows(profile["plugin"], profile["technique"], k, m)
    except OctoError as error:
        raise Failure(errno.EINVAL, error.message) from error
    return k, m


def _rule(name: str, profile: Mapping[str, str], count: int) -> rulebook.NewRule:
    domain = profile["crush-failure-domain"]
    return rulebook.NewRule(
        name,
        profile["crush-root"],
        "" if domain == "osd" else domain,
        profile["crush-device-class"],
        "indep",
        ERASURE,
        count,
    )
