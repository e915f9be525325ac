# SPDX-License-Identifier: Apache-2.0
"""What an OSD counts of its clients' operations: how many, how large, and which are under way."""

from collections import deque
from typing import Any

import msgspec

from octostack.base import clock
from octostack.engines.ceph.osd.requests import WRITE, OpReply
from octostack.wire.ceph.messages.osdop import OSDOp
from octostack.wire.ceph.objects import PG

RECENT = 20


class GroupCounts(msgspec.Struct):
    """Of one group."""

    reads: int = 0
    read_bytes: int = 0
    writes: int = 0
    write_bytes: int = 0


class Noted(msgspec.Struct, gc=False):
    """An operation under way."""

    op: OSDOp
    size: int
    began: float


class Counts:
    """See the module's essay."""

    def __init__(self) -> None:
        self.groups: dict[PG, GroupCounts] = {}
        self.commit_s = 0.0  # how long writes take, of late
        self._under_way: dict[int, Noted] = {}
        self._recent: deque[tuple[PG, bytes, int, float, float]] = deque(maxlen=RECENT)
        self._ops = 0

    def begin(self, op: OSDOp, size: int) -> Noted:
        """An operation came, with so many bytes."""
        noted = Noted(op, size, clock.monotonic())
        self._under_way[id(noted)] = noted
        return noted

    def end(self, noted: Noted, answer: OpReply) -> None:
        """It was answered."""
        if self._under_way.pop(id(noted), None) is None:
            return
        self._ops += 1
        op, took = noted.op, clock.monotonic() - noted.began
        self._recent.append((op.pg, op.name, op.tid, noted.began, took))
        counts = self.groups.get(op.pg)
        if counts is None:
            counts = self.groups[op.pg] = GroupCounts()
        if op.flags & WRITE:
            counts.writes += 1
            counts.write_bytes += noted.size
            self.commit_s += (took - self.commit_s) / 16
        else:
            counts.reads += 1
            for output in answer.outputs:
                counts.read_bytes += len(output)

    def drop(self, noted: Noted) -> None:
        """It is not ours to answer."""
        self._under_way.pop(id(noted), None)

    def of(self, pg: PG) -> GroupCounts:
        """Of one group."""
        return self.groups.get(pg) or GroupCounts()

    def view(self) -> dict[str, int]:
        """As counters of the OSD."""
        known = self.groups.values()
        return {
            "op_wip": len(self._under_way),
            "op": self._ops,
            "op_in_bytes": sum(one.write_bytes for one in known),
            "op_out_bytes": sum(one.read_bytes for one in known),
            "op_r": sum(one.reads for one in known),
            "op_r_out_bytes": sum(one.read_bytes for one in known),
            "op_w": sum(one.writes for one in known),
            "op_w_in_bytes": sum(one.write_bytes for one in known),
        }

    def in_flight(self) -> list[dict[str, Any]]:
        """What is not answered yet."""
        now = clock.monotonic()
        return [
            _view((one.op.pg, one.op.name, one.op.tid, one.began, now - one.began), now)
            for one in self._under_way.values()
        ]

    def recent(self) -> list[dict[str, Any]]:
        """What was answered last."""
        now = clock.monotonic()
        return [_view(one, now) for one in self._recent]


def _view(one: tuple[PG, bytes, int, float, float], now: float) -> dict[str, Any]:
    pg, name, tid, began, took = one
    age = now - began
    return {
        "description": f"osd_op({pg} {name.decode(errors='replace')} tid {tid})",
        "initiated_at": clock.iso(clock.now() - age, micros=True, suffix="+0000"),
        "age": age,
        "duration": took,
        "type_data": {"flag_point": "started", "events": []},
    }
