# SPDX-License-Identifier: Apache-2.0
"""What goes on in pools, by the difference between reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octostack.engines.ceph.mon.core.pools import get as get_pool
from octostack.engines.ceph.mon.core.printing import bytes_text
from octostack.engines.ceph.mon.core.state import GroupReport

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

_NANOS: Final = 1_000_000_000


def rates(query: Query) -> list[dict[str, Any]]:
    """`osd pool stats`."""
    map_ = query.state.osdmap
    name = query.text("pool_name")
    numbers = [get_pool(map_, name)] if name else sorted(map_.pools)
    groups = query.statistics.list_groups(map_)
    return [
        {
            "pool_name": map_.pool_names[number],
            "pool_id": number,
            "recovery": behind([one for pg, one in groups.items() if pg.pool == number]),
            "recovery_rate": {},
            "client_io_rate": client_rate(query, number),
        }
        for number in numbers
    ]


def rates_text(query: Query) -> str:
    """The same for people."""
    lines = []
    for one in rates(query):
        lines.append(f"pool {one['pool_name']} id {one['pool_id']}\n")
        shown = behind_text(one["recovery"]) + client_text(one["client_io_rate"])
        lines += [f"  {line}\n" for line in shown] or ["  nothing is going on\n"]
        lines.append("\n")
    return "".join(lines)


def behind(groups: list[GroupReport]) -> dict[str, Any]:
    """How many copies of objects are missing, elsewhere, or not to be found."""
    copies = sum(one.objects * len(one.acting) for one in groups)
    total = copies + sum(one.degraded for one in groups)
    found: dict[str, Any] = {}
    for name in ("degraded", "misplaced", "unfound"):
        count = sum(getattr(one, name) for one in groups)
        if count:
            whole = sum(one.objects for one in groups) if name == "unfound" else total
            found |= {
                f"{name}_objects": count,
                f"{name}_total": whole,
                f"{name}_ratio": count / whole if whole else 0.0,
            }
    return found


def behind_text(found: dict[str, Any]) -> list[str]:
    """The same for people."""
    return [
        f"{found[f'{name}_objects']}/{found[f'{name}_total']} objects {name} "
        f"({found[f'{name}_ratio'] * 100:.3f}%)"
        for name in ("degraded", "misplaced", "unfound")
        if f"{name}_objects" in found
    ]


def client_rate(query: Query, number: int | None = None) -> dict[str, int]:
    """Operations and bytes a second, of one pool or all; nothing when there were none."""
    sums = dict.fromkeys(("reads", "read_kb", "writes", "write_kb"), 0.0)
    for pg, (since, before) in query.statistics.before.items():
        now = query.statistics.groups.get(pg)
        if now is None or number not in {None, pg.pool}:
            continue
        seconds = max(1.0, (query.now_ns - since) / _NANOS)
        for name in sums:
            sums[name] += max(0, getattr(now, name) - getattr(before, name)) / seconds
    found = {}
    for name, key, factor in (
        ("read_kb", "read_bytes_sec", 1024),
        ("write_kb", "write_bytes_sec", 1024),
        ("reads", "read_op_per_sec", 1),
        ("writes", "write_op_per_sec", 1),
    ):
        value = int(sums[name] * factor)
        if value:
            found[key] = value
    return found


def client_text(found: dict[str, int]) -> list[str]:
    """The same for people."""
    parts = []
    for key, word in (("read_bytes_sec", "rd"), ("write_bytes_sec", "wr")):
        if key in found:
            parts.append(f"{bytes_text(found[key])}/s {word}")
    for key, word in (("read_op_per_sec", "rd"), ("write_op_per_sec", "wr")):
        if key in found:
            parts.append(f"{found[key]} op/s {word}")
    return [f"client io {', '.join(parts)}"] if parts else []
