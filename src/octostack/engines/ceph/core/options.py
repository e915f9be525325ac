# SPDX-License-Identifier: Apache-2.0
"""The options that our daemons act on, with what holds unset."""

from typing import Final

import msgspec


class Declared(msgspec.Struct, frozen=True):
    """Which daemons read an option, and what for."""

    default: str
    daemons: tuple[str, ...]
    help: str


def _mon(default: str, text: str) -> Declared:
    return Declared(default, ("mon",), text)


def _osd(default: str, text: str) -> Declared:
    return Declared(default, ("osd",), text)


DECLARED: Final = {
    "osd_pool_default_size": _mon("3", "copies of the objects of a new pool"),
    "osd_pool_default_min_size": _mon("0", "copies that must be there to serve; 0: most of them"),
    "osd_pool_default_pg_num": _mon("32", "groups of a new pool"),
    "osd_pool_erasure_code_stripe_unit": _mon("4096", "bytes of a stripe that go to a shard"),
    "mon_allow_pool_delete": _mon("false", "whether pools may be removed"),
    "mon_osd_down_out_interval": _mon("600", "seconds until an OSD that is down goes out"),
    "mon_min_osdmap_epochs": _mon("500", "changes of the map of OSDs that are kept; at least 51"),
    "mon_osd_force_trim_to": _mon("0", "the epoch up to which they go although they are needed"),
    "mon_target_pg_per_osd": _mon("100", "copies of groups that an OSD should have"),
    "mon_warn_on_pool_no_redundancy": _mon("true", "whether one copy is worth a warning"),
    "mon_warn_on_pool_no_app": _mon("true", "whether a pool of no known use is worth a warning"),
    "mon_max_pg_per_osd": _mon("250", "copies of groups that an OSD may have"),
    "osd_max_backfills": _osd("1", "groups that are filled at the same time"),
    "mon_osd_min_down_reporters": _mon("2", "subtrees that must miss an OSD"),
    "mon_osd_reporter_subtree_level": _mon("host", "the type of those subtrees"),
    "mon_osd_adjust_heartbeat_grace": _mon("true", "whether who was wrongly missed gets longer"),
    "mon_osd_laggy_halflife": _mon("3600", "seconds until half of that is forgotten"),
    "mon_osd_laggy_weight": _mon("0.300000", "how much the last time counts in that"),
    "mon_osd_laggy_max_interval": _mon("300", "seconds that such a time counts at most"),
    "mon_osd_min_up_ratio": _mon("0.300000", "part of the OSDs that is not marked down"),
    "mon_osd_min_in_ratio": _mon("0.750000", "part of the OSDs that does not go out by itself"),
    "osd_backfill_retry_interval": _osd("30.000000", "seconds until a full OSD is asked again"),
    "osd_recovery_max_active": _osd("0", "objects that are recovered at the same time; 0: 64"),
    "osd_max_push_cost": _osd("33554432", "bytes of objects that are recovered at the same time"),
    "osd_recovery_sleep": _osd("0.000000", "seconds between objects that are recovered"),
    "osd_max_pg_log_entries": _osd("3000", "changes that the log of a group remembers"),
    "osd_client_message_size_cap": _osd("268435456", "bytes of clients' requests under way"),
    "osd_heartbeat_grace": Declared("20", ("mon", "osd"), "seconds of silence that count"),
    "osd_heartbeat_interval": _osd("6", "seconds between two heartbeats"),
    "osd_max_markdown_count": _osd("5", "times that an OSD may be taken for dead wrongly"),
    "osd_max_markdown_period": _osd("600", "seconds in which those count"),
    "osd_max_scrubs": _osd("1", "groups that are scrubbed at the same time"),
    "osd_scrub_min_interval": _osd("86400.000000", "seconds between scrubs of a group"),
    "osd_deep_scrub_interval": _osd("604800.000000", "seconds between deep scrubs of a group"),
    "osd_scrub_interval_randomize_ratio": _osd("0.500000", "by how much those may be longer"),
    "osd_scrub_begin_hour": _osd("0", "hour of the day from which scrubs may begin"),
    "osd_scrub_end_hour": _osd("0", "hour from which they may not; equal: at any time"),
    "osd_scrub_begin_week_day": _osd("0", "day of the week (0: Sunday) from which they may begin"),
    "osd_scrub_end_week_day": _osd("0", "day from which they may not; equal: on any day"),
    "osd_scrub_sleep": _osd("0.000000", "seconds between ranges of objects of a scrub"),
    "osd_scrub_during_recovery": _osd("false", "whether scrubs begin while objects are recovered"),
    "osd_op_complaint_time": _osd("30.000000", "seconds until an operation counts as slow"),
    "debug_ms": Declared("0/0", ("mon", "osd", "mgr"), "how much is logged of messages"),
}
