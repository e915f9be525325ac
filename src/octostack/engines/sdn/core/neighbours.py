# SPDX-License-Identifier: Apache-2.0
"""Neighbours that no intent names: asked for by ARP in a router's name, kept in `learned`.

Pure bookkeeping: what is known, what is being asked, which packets wait for the answer. Time comes
in as a number. Everything is bounded: what guests and the outside may fill, they may not overfill.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from octostack.engines.sdn.core import pipeline
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches
from octostack.wire.openflow import messages as of

KNOWN_MAX: Final = 4096
PENDING_MAX: Final = 256
PACKETS_MAX: Final = 8
ASK_AGAIN_S: Final = (0.1, 0.2, 0.4, 0.8, 1.0)  # after each question: the first may be lost
ASK_EVERY_S: Final = 1.0  # after one that is known
ASK_TIMES: Final = 3
REFRESH_S: Final = 60.0

Where = tuple[int, int]  # network number, IPv4 address


class Asker(msgspec.Struct, frozen=True):
    """In whose name to ask: a router's MAC and address in the network."""

    mac: int
    address: int


class Pending(msgspec.Struct):
    """A question that is under way."""

    asked_at: float
    times: int
    packets: list[bytes]


class Known(msgspec.Struct):
    """An answer. `unanswered` counts refreshing questions since it was last confirmed."""

    mac: int
    seen_at: float
    asked_at: float = 0.0
    unanswered: int = 0


class Question(msgspec.Struct, frozen=True):
    """An ARP request to send."""

    network: int
    address: int
    asker: Asker


class Neighbours:
    """The state of one host's unnamed neighbours. `askers`: a router's foot by network number."""

    def __init__(self) -> None:
        self.askers: dict[int, Asker] = {}
        self.known: dict[Where, Known] = {}
        self.pending: dict[Where, Pending] = {}

    def adopt(self, flows: list[of.FlowStats], now: float) -> list[of.FlowMod]:
        """Take over what is in the switch; what puts those back that are known and not there.

        A switch that was started anew has forgotten them: packets would still find their way by
        packet-in, and lose it with the agent.
        """
        held: dict[Where, int] = {}
        for found in flows:
            terms = {name: value for name, value, _ in found.match}
            mac = _mac_in(found)
            if {pipeline.NETWORK, pipeline.NEXT_HOP} <= terms.keys() and mac is not None:
                where = (terms[pipeline.NETWORK], terms[pipeline.NEXT_HOP])
                held[where] = mac
                self.known.setdefault(where, Known(mac, now))
        return [
            flow(where, one.mac)
            for where, one in self.known.items()
            if held.get(where) != one.mac and where[0] in self.askers
        ]

    def seek(self, wheres: Iterable[Where], now: float) -> list[Question]:
        """Ask for those that will be needed, before a packet is on its way to them."""
        questions: list[Question] = []
        for where in wheres:
            if where in self.known or where in self.pending or len(self.pending) >= PENDING_MAX:
                continue
            asked = self._ask(where)
            if asked:
                self.pending[where] = Pending(now, 1, [])
            questions += asked
        return questions

    def miss(self, where: Where, packet: bytes, now: float) -> list[Question]:
        """A packet with nowhere to go: kept, and a question where none is under way."""
        held = self.pending.get(where)
        if held is not None:
            if len(held.packets) < PACKETS_MAX:
                held.packets.append(packet)
            return []
        if len(self.pending) >= PENDING_MAX:
            return []
        questions = self._ask(where)
        if questions:
            self.pending[where] = Pending(now, 1, [packet])
        return questions

    def _ask(self, where: Where) -> list[Question]:
        asker = self.askers.get(where[0])
        return [] if asker is None else [Question(where[0], where[1], asker)]

    def heard(self, where: Where, mac: int, now: float) -> tuple[bool, list[bytes]]:
        """An answer: (is the flow to be written, packets that waited). Unasked ones are ignored."""
        pending = self.pending.pop(where, None)
        known = self.known.get(where)
        if pending is None and (known is None or not known.unanswered):
            return False, []
        if known is None and len(self.known) >= KNOWN_MAX:
            return False, []
        self.known[where] = Known(mac, now)
        # what was pending had no flow, known or not
        new = pending is not None or known is None or known.mac != mac
        return new, pending.packets if pending else []

    def tick(self, now: float) -> tuple[list[Question], list[Where]]:
        """Time passes: (questions to ask again, neighbours that are gone)."""
        questions: list[Question] = []
        for where, pending in list(self.pending.items()):
            if now - pending.asked_at < ASK_AGAIN_S[min(pending.times, len(ASK_AGAIN_S)) - 1]:
                continue
            if pending.times > len(ASK_AGAIN_S):
                del self.pending[where]
                continue
            pending.times, pending.asked_at = pending.times + 1, now
            questions += self._ask(where)
        gone: list[Where] = []
        for where, known in list(self.known.items()):
            if now - max(known.seen_at + REFRESH_S, known.asked_at + ASK_EVERY_S) < 0:
                continue
            if known.unanswered >= ASK_TIMES or where[0] not in self.askers:
                gone.append(where)
                del self.known[where]
                continue
            known.unanswered, known.asked_at = known.unanswered + 1, now
            questions += self._ask(where)
        return questions, gone


def _mac_in(flow: of.FlowStats) -> int | None:
    for action in acts.decode_instructions(flow.instructions).actions:
        if isinstance(action, acts.SetField) and action.field == "eth_dst":
            return action.value
    return None


def flow(where: Where, mac: int) -> of.FlowMod:
    """The flow of a known neighbour."""
    match = matches.build({pipeline.NETWORK: where[0], pipeline.NEXT_HOP: where[1]})
    instructions = acts.Instructions((acts.SetField("eth_dst", mac),), pipeline.NUMBERS["l2"])
    table = pipeline.NUMBERS["learned"]
    return of.FlowMod(of.ADD, table, 100, match, instructions, pipeline.LEARNED_COOKIE)


def forget(where: Where) -> of.FlowMod:
    """Take that flow out."""
    match = matches.build({pipeline.NETWORK: where[0], pipeline.NEXT_HOP: where[1]})
    return of.FlowMod(of.DELETE_STRICT, pipeline.NUMBERS["learned"], 100, match)
