# SPDX-License-Identifier: Apache-2.0
"""The parts of a manager that have names of their own, as Ceph's modules have, and its map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from octostack.wire.ceph.addresses import Addresses
from octostack.wire.ceph.maps.mgrmap import MgrMap, Module, ModuleOption, Standby

if TYPE_CHECKING:
    from collections.abc import Callable

    from octostack.engines.ceph.mon.core.commands.table import Quorum

ALWAYS_ON: Final = frozenset({"balancer", "pg_autoscaler", "progress", "status"})
PACIFIC: Final = 16
FEATURES: Final = 0x3F01CFBF7FFDFFFF
_TEXT, _BOOL, _INT = 4, 7, 1

AVAILABLE: Final = (
    Module(
        "balancer",
        options={
            "active": ModuleOption("active", _BOOL, default="True", help="whether to balance"),
            "mode": ModuleOption(
                "mode",
                _TEXT,
                default="upmap",
                allowed=frozenset({"none", "upmap"}),
                help="how: by entries of the map for single groups, or not",
            ),
            "sleep_interval": ModuleOption(
                "sleep_interval", _INT, default="60", help="seconds between two looks"
            ),
            "upmap_max_deviation": ModuleOption(
                "upmap_max_deviation",
                _INT,
                default="5",
                help="by how many groups an OSD may differ from its share",
            ),
        },
    ),
    Module("pg_autoscaler", options={}),
    Module("progress", options={}),
    Module(
        "prometheus",
        options={
            "server_addr": ModuleOption("server_addr", _TEXT, default="::", help="where to listen"),
            "server_port": ModuleOption("server_port", _INT, default="9283", help="at which port"),
        },
    ),
    Module("status", options={}),
)
NAMES: Final = frozenset(module.name for module in AVAILABLE)


def began(known: MgrMap, name: str, global_id: int, addresses: Addresses) -> MgrMap:
    """The map in which this manager is the active one."""
    return msgspec.structs.replace(
        known,
        epoch=known.epoch + 1,
        addresses=addresses,
        global_id=global_id,
        available=True,
        name=name,
        modules=known.modules & NAMES,
        standbys={gid: one for gid, one in known.standbys.items() if one.name != name},
        services={},
        available_modules=AVAILABLE,
        always_on={PACIFIC: ALWAYS_ON},
        features=FEATURES,
    )


def failed(known: MgrMap) -> MgrMap:
    """The map without an active manager."""
    return msgspec.structs.replace(
        known, epoch=known.epoch + 1, addresses=(), global_id=0, available=False, name=""
    )


def with_standbys(known: MgrMap, quorum: Quorum, new_id: Callable[[], int]) -> MgrMap | None:
    """The map with the managers beside a leader's followers as standbys; None when it has them."""
    wanted = set(quorum.members) - {quorum.leader}
    kept = {gid: one for gid, one in known.standbys.items() if one.name in wanted}
    missing = sorted(wanted - {one.name for one in kept.values()})
    if not missing and len(kept) == len(known.standbys):
        return None
    made = {(gid := new_id()): Standby(gid, name, NAMES, AVAILABLE, FEATURES) for name in missing}
    return msgspec.structs.replace(known, epoch=known.epoch + 1, standbys=kept | made)
