# SPDX-License-Identifier: Apache-2.0
"""Commands of the manager's own parts: balancer, autoscaler, progress, devices, crashes."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from octostack.engines.ceph.mgr.core import balancing, progress, scaling
from octostack.engines.ceph.mon.core.answers import Answer, formatted
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.printing import table
from octostack.engines.ceph.mon.core.state import Change

_NANOS: Final = 1_000_000_000


def _show(value: Any) -> Answer:
    """These answer in JSON for people whatever is asked for."""
    return Answer(formatted(value, "json-pretty"))


# Balancer


def _status(query: Query) -> Answer:
    found = query.statistics.balancer
    moment = datetime.fromtimestamp(found.looked_ns // _NANOS, UTC)
    return _show(
        {
            "active": balancing.is_active(query),
            "last_optimize_duration": f"0:00:00.{found.took_ns // 1000:06d}",
            "last_optimize_started": f"{moment:%a %b %d %H:%M:%S %Y}",
            "mode": balancing.mode(query),
            "no_optimization_needed": found.is_even,
            "optimize_result": found.result,
            "plans": [],
        }
    )


def _set(query: Query, name: str, value: str) -> Answer:
    config = dict(query.state.config)
    if config.get("mgr", {}).get(name) == value:
        return Answer()
    config["mgr"] = {**config.get("mgr", {}), name: value}
    return Answer(change=Change(config=config))


def _mode(query: Query) -> Answer:
    return _set(query, "mgr/balancer/mode", query.text("mode"))


def _eval(query: Query) -> Answer:
    score = balancing.score(query)
    return Answer(f"current cluster score {score:f} (lower is better)\n".encode())


# Autoscaler


def _advice(query: Query) -> Answer:
    found = scaling.advise(query)
    views = [
        {
            "actual_capacity_ratio": one.raw / one.capacity if one.capacity else 0.0,
            "actual_raw_used": one.raw,
            "bias": one.bias,
            "bulk": one.bulk,
            "capacity_ratio": one.share,
            "crush_root_id": one.root,
            "effective_target_ratio": one.target_ratio,
            "logical_used": one.logical,
            "pg_autoscale_mode": one.mode,
            "pg_num_final": one.final,
            "pg_num_ideal": one.ideal,
            "pg_num_target": one.pg_num_target,
            "pool_id": one.number,
            "pool_name": one.name,
            "raw_used": one.share * one.capacity,
            "raw_used_rate": one.rate,
            "subtree_capacity": one.capacity,
            "target_bytes": one.target_bytes,
            "target_ratio": one.target_ratio,
            "would_adjust": one.would_change,
        }
        for one in found
    ]
    rows = [
        (
            *(one.name, _short(one.logical), _short(one.target_bytes) if one.target_bytes else ""),
            *(f"{one.rate:.1f}", _short(one.capacity), f"{one.share:.4f}"),
            *(f"{one.target_ratio:.4f}" if one.target_ratio else "", ""),
            *(f"{one.bias:.1f}", one.pg_num_target, one.final if one.would_change else ""),
            *(one.mode, one.bulk),
        )
        for one in found
    ]
    names = (
        "POOL|SIZE|TARGET SIZE|RATE|RAW CAPACITY|RATIO|TARGET RATIO|EFFECTIVE RATIO|BIAS|PG_NUM|"
        "NEW PG_NUM|AUTOSCALE|BULK"
    )
    if query.style == "plain":
        return Answer(table(names, rows, "POOL|AUTOSCALE|BULK").encode())
    return _show(views)


def _short(size: int) -> str:
    """``30720M``: five digits or fewer."""
    unit = 0
    while size > 99999 and unit < len("kMGTPE"):
        size //= 1024
        unit += 1
    return f"{size}{' kMGTPE'[unit].strip()}"


# Progress


def _progress(query: Query) -> Answer:
    events = [one for one in query.statistics.progress.events.values() if one.groups]
    if not events:
        return Answer(status="Nothing in progress")
    lines = []
    for event in events:
        age = (query.now_ns - event.began_ns) // _NANOS
        bar = "=" * int(event.progress * 28)
        lines.append(f"{event.message} ({age}s)\n    [{bar.ljust(28, '.')}]\n")
    return Answer("".join(lines).encode())


def _progress_json(query: Query) -> Answer:
    found = query.statistics.progress
    return _show(
        {
            "completed": [progress.view(event) for event in found.completed],
            "events": [progress.view(one) for one in found.events.values() if one.groups],
        }
    )


def _progress_clear(query: Query) -> Answer:
    query.statistics.progress.events.clear()
    query.statistics.progress.completed.clear()
    return Answer()


# What there is none of


def _devices(query: Query) -> Answer:
    return query.show([], "DEVICE  HOST:DEV  DAEMONS  WEAR  LIFE EXPECTANCY\n")


def _no_crashes(query: Query) -> Answer:
    text = "0 crashes recorded\n" if query.text("prefix") == "crash stat" else ""
    return Answer(text.encode()) if text else query.show([], "\n")


def _service_status(query: Query) -> Answer:
    return query.show({})


_PLUGINS: Final = {  # what Ceph has as plug-ins, by the first word of commands
    "balancer": "balancer",
    "osd": "pg_autoscaler",
    "progress": "progress",
    "device": "devicehealth",
    "crash": "crash",
}


def _line(words: str, says: str, act: Callable[[Query], Answer], permission: str = "r") -> Command:
    plugin = _PLUGINS.get(words.split(maxsplit=1)[0], "")
    module = "py" if plugin else "service"
    return Command(words, says, module, permission, act, by_manager=True, plugin=plugin)


TABLE: Final = (
    _line("balancer status", "what the balancer does", _status),
    _line(
        "balancer mode name=mode,type=CephChoices,strings=none|upmap",
        "how the balancer works",
        _mode,
        "rw",
    ),
    _line(
        "balancer on",
        "let it work",
        lambda query: _set(query, "mgr/balancer/active", "true"),
        "rw",
    ),
    _line(
        "balancer off",
        "let it rest",
        lambda query: _set(query, "mgr/balancer/active", "false"),
        "rw",
    ),
    _line("balancer ls", "plans that wait", lambda _query: Answer(b"[]\n")),
    _line("balancer eval name=option,type=CephString,req=false", "how uneven groups lie", _eval),
    _line(
        "osd pool autoscale-status name=format,type=CephString,req=false",
        "how many groups pools have, and should have",
        _advice,
    ),
    _line("progress", "what is under way", _progress),
    _line("progress json", "the same as JSON", _progress_json),
    _line("progress clear", "forget it", _progress_clear, "rw"),
    _line("device ls", "devices whose health is watched", _devices),
    _line("device ls-by-daemon name=who,type=CephString", "those of a daemon", _devices),
    _line("device ls-by-host name=host,type=CephString", "those of a host", _devices),
    _line("crash ls", "daemons that crashed", _no_crashes),
    _line("crash stat", "how many", _no_crashes),
    _line("service status", "daemons of other services", _service_status),
)
