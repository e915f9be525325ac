# SPDX-License-Identifier: Apache-2.0
"""Making erasure-coded pools: a profile says the code, and where its shards go."""

import errno
from collections.abc import Mapping

import msgspec

from octostack.base.errors import Conflict, NotFound, OctoError
from octostack.engines.ceph.core.codes.matrices import parity_rows
from octostack.engines.ceph.core.crush import names, rulebook
from octostack.engines.ceph.mon.core import pools
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.wire.ceph.maps import crush as crush_wire
from octostack.wire.ceph.maps.osdmap import Incremental, OSDMap
from octostack.wire.ceph.maps.pool import ERASURE

UNIT = 4096  # osd_pool_erasure_code_stripe_unit
_replace = msgspec.structs.replace


def create(
    osdmap: OSDMap, wanted: pools.Wanted, profile_name: str, rule_name: str, now_ns: int
) -> Incremental:
    """A new pool, with a rule of its name unless there is one. Raises Failure."""
    profile = osdmap.erasure_code_profiles.get(profile_name)
    if profile is None:
        raise Failure(errno.ENOENT, f"specified erasure code profile {profile_name} doesn't exist")
    k, m = _sizes(profile)
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
    pool = _replace(pool, type=ERASURE, erasure_code_profile=profile_name, stripe_width=k * UNIT)
    change = _replace(change, new_pools={number: pool})
    return change if crush is osdmap.crush else _replace(change, crush=crush_wire.encode(crush))


def _sizes(profile: Mapping[str, str]) -> tuple[int, int]:
    k, m = int(profile.get("k", "2")), int(profile.get("m", "2"))
    technique = profile.get("technique", "reed_sol_van")
    try:
        parity_rows(profile.get("plugin", "jerasure"), technique, k, m)
    except OctoError as error:
        raise Failure(errno.EINVAL, error.message) from error
    if int(profile.get("w", "8")) != 8:
        raise Failure(errno.EINVAL, "w must be 8")
    return k, m


def _rule(name: str, profile: Mapping[str, str], count: int) -> rulebook.NewRule:
    domain = profile.get("crush-failure-domain", "host")
    return rulebook.NewRule(
        name,
        profile.get("crush-root", "default"),
        "" if domain == "osd" else domain,
        profile.get("crush-device-class", ""),
        "indep",
        ERASURE,
        count,
    )
