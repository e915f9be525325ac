# SPDX-License-Identifier: Apache-2.0
"""The names that Ceph's JSON has for what is counted of groups."""

from typing import Final

# object_stat_sum_t, in the order of its dump; those that nothing here counts are 0
COUNTED: Final = (
    *("num_bytes", "num_objects", "num_object_clones", "num_object_copies"),
    *("num_objects_missing_on_primary", "num_objects_missing", "num_objects_degraded"),
    *("num_objects_misplaced", "num_objects_unfound", "num_objects_dirty", "num_whiteouts"),
    *("num_read", "num_read_kb", "num_write", "num_write_kb", "num_scrub_errors"),
    *("num_shallow_scrub_errors", "num_deep_scrub_errors", "num_objects_recovered"),
    *("num_bytes_recovered", "num_keys_recovered", "num_objects_omap"),
    *("num_objects_hit_set_archive", "num_bytes_hit_set_archive", "num_flush", "num_flush_kb"),
    *("num_evict", "num_evict_kb", "num_promote", "num_flush_mode_high", "num_flush_mode_low"),
    *("num_evict_mode_some", "num_evict_mode_full", "num_objects_pinned", "num_legacy_snapsets"),
    *("num_large_omap_objects", "num_objects_manifest", "num_omap_bytes", "num_omap_keys"),
    "num_objects_repaired",
)
INVALID: Final = (
    *("stats_invalid", "dirty_stats_invalid", "omap_stats_invalid", "hitset_stats_invalid"),
    *("hitset_bytes_stats_invalid", "pin_stats_invalid", "manifest_stats_invalid"),
)
