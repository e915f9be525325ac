# SPDX-License-Identifier: Apache-2.0
"""Commands about how full and how busy OSDs and pools are, and whether an OSD may go."""

import errno
import functools
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from octostack.engines.ceph.core.osdmap import osds
from octostack.engines.ceph.mgr.core import osdstats, removal
from octostack.engines.ceph.mon.core import poolstats, views
from octostack.engines.ceph.mon.core.answers import Answer, Failure, formatted
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.printing import table


def _df(query: Query) -> Answer:
    tree = query.text("output_method") == "tree"
    return query.show(osdstats.df(query, tree=tree), osdstats.df_text(query, tree=tree))


def _perf(query: Query) -> Answer:
    found = {"pg_ready": True, "osdstats": osdstats.perf(query)}
    return query.show(found, osdstats.perf_text(query))


def _blocked_by(query: Query) -> Answer:
    groups = query.statistics.list_groups(query.state.osdmap).values()
    counts = sorted(Counter(osd for group in groups for osd in group.blocked_by).items())
    infos = [{"id": osd, "num_blocked": count} for osd, count in counts]
    found = {"pg_ready": True, "osd_blocked_by": {"osd_blocked_by_infos": infos}}
    return query.show(found, table("osd|num_blocked", counts))


def _utilization(query: Query) -> Answer:
    return query.show(osdstats.utilization(query), osdstats.utilization_text(query))


def members(query: Query, name: str = "ids") -> list[int]:
    """OSDs by number, name, or all. Raises Failure."""
    found: list[int] = []
    for word in query.arguments[name]:
        text = str(word).removeprefix("osd.")
        if text in {"all", "any", "*"}:
            found += views.list_up(query.state.osdmap)
        elif text.isdigit():
            found.append(int(text))
        else:
            raise Failure(errno.EINVAL, f"invalid osd id '{word}'")
    return found


def _ok_to_stop(query: Query) -> Answer:
    found = osdstats.stopping(query, members(query))
    output = formatted(found, "json")
    if found["ok_to_stop"]:
        return Answer(output)
    count = found["num_not_ok_pgs"]
    why = f"unsafe to stop osd(s) at this time ({count} PGs are or would become offline)"
    raise Failure(errno.EBUSY, why, output)


def _safe_to_destroy(query: Query) -> Answer:
    asked = members(query)
    found = osdstats.destroying(query, asked)
    output = formatted(found, "json")
    if query.style != "plain":
        return Answer(output)
    if len(found["safe_to_destroy"]) == len(asked):
        shown = ",".join(map(str, asked))
        text = f"OSD(s) {shown} are safe to destroy without reducing data durability.\n"
        return Answer(text.encode())
    active = [osd for name in ("active", "stored_pgs") for osd in found[name]]
    if active:
        shown = ",".join(map(str, active))
        raise Failure(errno.EBUSY, f"OSD(s) {shown} have PGs currently mapped to them. ")
    raise Failure(errno.EAGAIN, "OSD(s) have not reported enough to be sure. ")


def _removing(query: Query, word: str) -> Answer:
    """`osd destroy` and `purge`, which look first whether that is safe."""
    text = query.text("id").removeprefix("osd.")
    number = int(text) if text.isdigit() else -1
    map_ = query.state.osdmap
    if not query.arguments.get("yes_i_really_mean_it"):
        raise Failure(
            errno.EPERM,
            "Are you SURE?  Did you verify with 'ceph osd safe-to-destroy'?  This will PERMANENTLY "
            "DESTROY that osd's data; pass --yes-i-really-mean-it if you really do.",
        )
    if not osds.is_known(map_, number):
        return Answer(status=f"osd.{number} does not exist ")
    if osds.is_up(map_, number):
        raise Failure(errno.EBUSY, f"osd.{number} is not `down`. ")
    return removal.remove_osd(query, number, purge=word == "purge")


def _reweighted(query: Query) -> Answer:
    use = osdstats.Use(query)
    even = osdstats.utilization(query)
    over = float(query.arguments.get("oload", 120))
    average = use.average / 100
    found: dict[str, Any] = {
        "overload_min": int(over),
        "max_change": float(query.arguments.get("max_change", 0.05)),
        "max_change_osds": int(query.arguments.get("max_osds", 4)),
        "average_utilization": average,
        "overload_utilization": average * over / 100,
        "reweights": _reweights(use, over),
        "utilization": {
            "moved_pgs": 0,
            "total_pgs": sum(use.counts.values()),
            "avg_pgs": even["avg_pgs"],
            "std_dev": even["std_dev"],
            "expected_baseline_std_dev": even["expected_baseline_std_dev"],
            "new_std_dev": even["std_dev"],
            "min_osd": even["min_osd"],
            "min_osd_pgs": even["min_osd_pgs"],
            "new_min_osd_pgs": even["min_osd_pgs"],
            "max_osd": even["max_osd"],
            "max_osd_pgs": even["max_osd_pgs"],
            "new_max_osd_pgs": even["max_osd_pgs"],
        },
    }
    return query.show(found, "no change\n").saying("no change")


def _reweights(use: osdstats.Use, over: float) -> list[dict[str, Any]]:
    found = []
    for osd in views.list_in(use.map):
        sizes = use.of([osd])
        percent = 100.0 * sizes["kb_used"] / sizes["kb"] if sizes["kb"] else 0.0
        if use.average and percent > use.average * over / 100:
            weight = use.map.osd_weight[osd] / 0x10000
            found.append(
                {"osd": osd, "weight": weight, "new_weight": max(weight - 0.05, weight * 0.9)}
            )
    return found


def _pool_stats(query: Query) -> Answer:
    return query.show(poolstats.rates(query), poolstats.rates_text(query))


def _last_seq(query: Query) -> Answer:
    text = query.text("id").removeprefix("osd.")
    number = int(text) if text.isdigit() else -1
    if not osds.is_known(query.state.osdmap, number):
        raise Failure(errno.ENOENT, f"osd.{number} does not exist")
    return Answer()


def _line(words: str, says: str, act: Callable[[Query], Answer], permission: str = "r") -> Command:
    return Command(words, says, "osd", permission, act, by_manager=True)


_IDS: Final = "name=ids,type=CephString,n=N"
_SURE: Final = "name=yes_i_really_mean_it,type=CephBool,req=false"
_LIMITS: Final = (
    "name=oload,type=CephInt,req=false name=max_change,type=CephFloat,req=false "
    "name=max_osds,type=CephInt,req=false name=no_increasing,type=CephBool,req=false"
)

TABLE: Final = (
    _line(
        "osd df name=output_method,type=CephChoices,strings=plain|tree,req=false",
        "how full OSDs are",
        _df,
    ),
    _line("osd perf", "how long OSDs take to make changes durable", _perf),
    _line("osd blocked-by", "OSDs that others wait for", _blocked_by),
    _line("osd utilization", "how evenly groups lie on OSDs", _utilization),
    _line(
        f"osd ok-to-stop {_IDS} name=max,type=CephInt,req=false",
        "whether all groups would still be served without these OSDs",
        _ok_to_stop,
    ),
    _line(
        f"osd safe-to-destroy {_IDS}",
        "whether these OSDs hold nothing that is needed",
        _safe_to_destroy,
    ),
    *(
        _line(
            f"osd {word} name=id,type=CephOsdName name=force,type=CephBool,req=false {_SURE}",
            f"{word} an OSD that is down",
            functools.partial(_removing, word=word),
            "rw",
        )
        for word in ("destroy", "purge")
    ),
    _line(
        f"osd test-reweight-by-utilization {_LIMITS}",
        "which OSDs are too full, and what weights would help",
        _reweighted,
    ),
    _line(
        "osd pool stats name=pool_name,type=CephPoolname,req=false",
        "what clients and recovery do in pools",
        _pool_stats,
    ),
    _line("osd last-stat-seq name=id,type=CephOsdName", "the last report of an OSD", _last_seq),
)
