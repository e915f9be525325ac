# SPDX-License-Identifier: Apache-2.0
"""The first maps of a cluster."""

import uuid
from typing import Final

import msgspec

from octostack.engines.ceph.core.crush import build, rulebook
from octostack.engines.ceph.mon.core import code_profiles
from octostack.wire.ceph.addresses import Addresses
from octostack.wire.ceph.maps import crush, monmap, osdmap
from octostack.wire.ceph.maps.crush import Bucket, CrushMap, Rule, Step, Tunables
from octostack.wire.ceph.maps.monmap import FEATURES_PACIFIC, MonInfo, MonMap
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDInfo, OSDMap, OSDState, OSDXInfo
from octostack.wire.ceph.maps.pool import REPLICATED

ROOT_TYPE: Final = 11
HOST_TYPE: Final = 1
TYPE_NAMES: Final = {
    0: "osd",
    1: "host",
    2: "chassis",
    3: "rack",
    4: "row",
    5: "pdu",
    6: "pod",
    7: "room",
    8: "datacenter",
    9: "zone",
    10: "region",
    11: "root",
}
# The profile "jewel", which is the default of release 16.
TUNABLES: Final = Tunables(0, 0, 50, 1, 1, 1, 54, 1)
FLAGS: Final = (
    MapFlag.SORTBITWISE
    | MapFlag.RECOVERY_DELETES
    | MapFlag.PURGED_SNAPDIRS
    | MapFlag.PGLOG_HARDLIMIT
)
RELEASE: Final = 16


class Founding(msgspec.Struct, frozen=True):
    """What a new cluster is made of."""

    fsid: uuid.UUID
    monitors: dict[str, Addresses]
    osds: tuple[uuid.UUID, ...]  # the position is the OSD's id
    now_ns: int
    host: str = "localhost"
    device_class: str = "hdd"
    spread_over_hosts: bool = False  # copies on different hosts, or only on different OSDs


def first_monmap(founding: Founding) -> MonMap:
    """Epoch 1 of the map of monitors: ranks by address."""
    ranks = tuple(sorted(founding.monitors, key=lambda name: founding.monitors[name]))
    return MonMap(
        fsid=founding.fsid,
        epoch=1,
        changed=founding.now_ns,
        created=founding.now_ns,
        persistent_features=FEATURES_PACIFIC,
        monitors={name: MonInfo(name, addresses) for name, addresses in founding.monitors.items()},
        ranks=ranks,
        min_mon_release=RELEASE,
    )


def first_osdmap(founding: Founding) -> OSDMap:
    """Epoch 1: the OSDs exist and are neither up nor in; there is no pool."""
    count = len(founding.osds)
    return OSDMap(
        fsid=founding.fsid,
        epoch=1,
        created=founding.now_ns,
        modified=founding.now_ns,
        flags=FLAGS,
        max_osd=count,
        osd_state=(int(OSDState.EXISTS | OSDState.NEW),) * count,
        osd_weight=(0,) * count,
        client_addresses=((),) * count,
        crush=first_crush(founding),
        erasure_code_profiles={"default": code_profiles.DEFAULT},
        crush_version=1,
        heartbeat_back_addresses=((),) * count,
        osd_info=(OSDInfo(),) * count,
        cluster_addresses=((),) * count,
        osd_uuid=founding.osds,
        osd_xinfo=(OSDXInfo(),) * count,
        heartbeat_front_addresses=((),) * count,
        nearfull_ratio=0.85,
        full_ratio=0.95,
        backfillfull_ratio=0.9,
        require_min_compat_client=12,
        require_osd_release=RELEASE,
    )


def first_crush(founding: Founding) -> CrushMap:
    """One root, one host, all OSDs with the same weight in it, and a rule for copies."""
    count = len(founding.osds)
    host, root = -2, -1
    buckets = {
        root: build.bucket(Bucket(root, ROOT_TYPE), [host], [count * crush.ONE], TUNABLES),
        host: build.bucket(
            Bucket(host, HOST_TYPE), list(range(count)), [crush.ONE] * count, TUNABLES
        ),
    }
    made = CrushMap(
        max_devices=count,
        type_names=TYPE_NAMES,
        names={root: "default", host: founding.host} | {osd: f"osd.{osd}" for osd in range(count)},
        rules=(copies_rule(0, root, spread_over_hosts=founding.spread_over_hosts),),
        rule_names={0: "replicated_rule"},
        tunables=TUNABLES,
    )
    for bucket in buckets.values():
        made = build.put(made, bucket)
    for osd in range(count):
        made = rulebook.set_class(made, osd, founding.device_class)
    return made


def copies_rule(number: int, root: int, *, spread_over_hosts: bool) -> Rule:
    """Takes `root`, chooses as many OSDs as the pool has copies."""
    op = crush.CHOOSELEAF_FIRSTN if spread_over_hosts else crush.CHOOSE_FIRSTN
    choose = Step(op, 0, HOST_TYPE if spread_over_hosts else 0)
    return Rule(
        number,
        REPLICATED,
        1,
        10,
        (Step(crush.TAKE, root), choose, Step(crush.EMIT)),
    )


def encoded(founding: Founding) -> tuple[bytes, bytes]:
    """(map of monitors, map of OSDs)."""
    return monmap.encode(first_monmap(founding)), osdmap.encode(first_osdmap(founding))
