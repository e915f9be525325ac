# SPDX-License-Identifier: Apache-2.0
"""What the switch holds against what it should hold.

Flows are the same flow when table, priority and match are; then instructions and cookie are
compared. What comes out are the fewest flow mods, so that nothing that stays is touched: its
counters go on, and no packet meets a gap.
"""

from collections.abc import Iterable, Mapping

from octostack.base.errors import Unsupported
from octostack.engines.sdn.core import pipeline
from octostack.engines.sdn.core.model import Flow, FlowKey
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import messages as of


def is_learned(cookie: int) -> bool:
    """Whether a flow was put in by packet-in, and is not the intent's business."""
    return cookie & ~((1 << 40) - 1) == pipeline.LEARNED_COOKIE


def put(flow: Flow) -> of.FlowMod:
    """Add a flow, or replace the one of that key."""
    return of.FlowMod(of.ADD, flow.table, flow.priority, flow.match, flow.instructions, flow.cookie)


def drop(key: FlowKey) -> of.FlowMod:
    """Take exactly one flow out."""
    table, priority, match = key
    return of.FlowMod(of.DELETE_STRICT, table, priority, match)


def changes(wanted: Mapping[FlowKey, Flow], held: Iterable[of.FlowStats]) -> list[of.FlowMod]:
    """Flow mods that make a switch with `held` hold `wanted`; learned flows are left alone."""
    missing = dict(wanted)
    out: list[of.FlowMod] = []
    for stats in held:
        if is_learned(stats.cookie):
            continue
        key = (stats.table, stats.priority, stats.match)
        flow = missing.pop(key, None)
        if flow is None:
            out.append(drop(key))
        elif flow.cookie != stats.cookie or not _does(stats, flow):
            out.append(put(flow))
    out.extend(put(flow) for flow in missing.values())
    return out


def _does(stats: of.FlowStats, flow: Flow) -> bool:
    return stats.instructions == acts.encode_instructions(flow.instructions)


def carry_out(held: dict[FlowKey, of.FlowMod], mods: Iterable[of.FlowMod]) -> None:
    """What a switch does with flow mods, for those we use: ADD and DELETE_STRICT."""
    for mod in mods:
        key = (mod.table, mod.priority, mod.match)
        if mod.command == of.ADD:
            held[key] = mod
        elif mod.command == of.DELETE_STRICT:
            held.pop(key, None)
        else:
            raise Unsupported(f"flow mod command {mod.command}", code="switch.command")
