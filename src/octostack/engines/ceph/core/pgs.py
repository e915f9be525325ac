# SPDX-License-Identifier: Apache-2.0
"""The states of placement groups and their names (PG_STATE_* of Ceph 16.2, osd_types.h)."""

from enum import IntFlag


class PGState(IntFlag):
    """What a placement group is doing; `active+clean` is all well."""

    CREATING = 1 << 0
    ACTIVE = 1 << 1
    CLEAN = 1 << 2
    DOWN = 1 << 4
    RECOVERY_UNFOUND = 1 << 5
    BACKFILL_UNFOUND = 1 << 6
    PREMERGE = 1 << 7
    SCRUBBING = 1 << 8
    DEGRADED = 1 << 10
    INCONSISTENT = 1 << 11
    PEERING = 1 << 12
    REPAIR = 1 << 13
    RECOVERING = 1 << 14
    BACKFILL_WAIT = 1 << 15
    INCOMPLETE = 1 << 16
    STALE = 1 << 17
    REMAPPED = 1 << 18
    DEEP_SCRUB = 1 << 19
    BACKFILLING = 1 << 20
    BACKFILL_TOOFULL = 1 << 21
    RECOVERY_WAIT = 1 << 22
    UNDERSIZED = 1 << 23
    ACTIVATING = 1 << 24
    PEERED = 1 << 25
    SNAPTRIM = 1 << 26
    SNAPTRIM_WAIT = 1 << 27
    RECOVERY_TOOFULL = 1 << 28
    SNAPTRIM_ERROR = 1 << 29
    FORCED_RECOVERY = 1 << 30
    FORCED_BACKFILL = 1 << 31
    FAILED_REPAIR = 1 << 32
    LAGGY = 1 << 33
    WAIT = 1 << 34


# in the order in which a name is put together, where it differs from the flag's own name
_NAMES = {
    PGState.STALE: "stale",
    PGState.CREATING: "creating",
    PGState.ACTIVE: "active",
    PGState.LAGGY: "laggy",
    PGState.WAIT: "wait",
    PGState.ACTIVATING: "activating",
    PGState.CLEAN: "clean",
    PGState.RECOVERY_WAIT: "recovery_wait",
    PGState.RECOVERY_TOOFULL: "recovery_toofull",
    PGState.RECOVERING: "recovering",
    PGState.FORCED_RECOVERY: "forced_recovery",
    PGState.DOWN: "down",
    PGState.RECOVERY_UNFOUND: "recovery_unfound",
    PGState.BACKFILL_UNFOUND: "backfill_unfound",
    PGState.UNDERSIZED: "undersized",
    PGState.DEGRADED: "degraded",
    PGState.REMAPPED: "remapped",
    PGState.PREMERGE: "premerge",
    PGState.SCRUBBING: "scrubbing",
    PGState.DEEP_SCRUB: "deep",
    PGState.INCONSISTENT: "inconsistent",
    PGState.PEERING: "peering",
    PGState.REPAIR: "repair",
    PGState.BACKFILL_WAIT: "backfill_wait",
    PGState.BACKFILLING: "backfilling",
    PGState.FORCED_BACKFILL: "forced_backfill",
    PGState.BACKFILL_TOOFULL: "backfill_toofull",
    PGState.INCOMPLETE: "incomplete",
    PGState.PEERED: "peered",
    PGState.SNAPTRIM: "snaptrim",
    PGState.SNAPTRIM_WAIT: "snaptrim_wait",
    PGState.SNAPTRIM_ERROR: "snaptrim_error",
    PGState.FAILED_REPAIR: "failed_repair",
}


ORDER = tuple(_NAMES.values())


def state_name(state: int) -> str:
    """As every command prints it: ``active+clean``."""
    return "+".join(name for bit, name in _NAMES.items() if state & bit) or "unknown"


def find_state(name: str) -> int | None:
    """The bit, or bits joined by `+`, of a name; None when a part of it is none."""
    bits = {text: bit for bit, text in _NAMES.items()}
    parts = name.split("+")
    if any(part not in bits for part in parts):
        return None
    return sum({bits[part] for part in parts})
