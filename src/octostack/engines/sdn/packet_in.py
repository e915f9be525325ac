# SPDX-License-Identifier: Apache-2.0
"""Packets that flows cannot answer alone: DHCP, neighbours that no intent names, the last hop.

They come from guests and from outside, so they are hostile until proven otherwise: a bounded
queue, a budget per port, every length checked by the parsers. Whatever is wrong with one is the
end of that packet and of nothing else.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable

import msgspec

from octostack.base import clock, log
from octostack.base.errors import Invalid, OctoError
from octostack.engines.sdn.core import dhcp, expired, neighbours, pipeline
from octostack.engines.sdn.core.compile import draft
from octostack.engines.sdn.switch import Switch
from octostack.runtime.tasks import Restart, Supervisor
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import messages as of
from octostack.wire.packets import ethernet

_log = log.get("packet_in")

QUEUE_MAX = 512
BUDGET_BURST = 20.0  # packets of one port (or one network, for what has no port)
BUDGET_PER_S = 10.0
BUDGETS_MAX = 8192
TICK_S = 1.0
TICK_ASKING_S = 0.1


class _Budget(msgspec.Struct):
    left: float
    at: float


class PacketIn:
    """Answers for one switch; `lease_of` a port's number is who knows the intent."""

    def __init__(self, lease_of: Callable[[int], dhcp.Lease | None]) -> None:
        self._lease_of = lease_of
        self.neighbours = neighbours.Neighbours()
        self.feet: dict[tuple[int, int], neighbours.Asker] = {}  # by router and network number
        self.counters: Counter[str] = Counter()
        self.switch: Switch | None = None
        self._queue: deque[of.PacketIn] = deque()
        self._wake = asyncio.Event()
        self._budgets: dict[int, _Budget] = {}

    def start(self, tasks: Supervisor) -> None:
        """Begin to answer."""
        tasks.start("packet-in", self._work, restart=Restart())

    def seek(self, wheres: Iterable[neighbours.Where]) -> None:
        """Ask for neighbours that packets will need, while there is somebody to ask."""
        self._ask(self.neighbours.seek(wheres, clock.monotonic()))
        self._wake.set()

    def put(self, packet: of.PacketIn) -> None:
        """Take a packet in; the newest goes when there are too many."""
        if len(self._queue) >= QUEUE_MAX:
            self.counters["dropped"] += 1
            return
        self._queue.append(packet)
        self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._pause()
            await self.work_off()
            await self._tick()

    async def work_off(self) -> None:
        """Answer everything that waits."""
        while self._queue:
            packet = self._queue.popleft()
            try:
                await self._answer(packet)
            except Invalid:
                self.counters["malformed"] += 1
            except OctoError as e:  # the switch went: what waits here is lost with it
                _log.warning("packet not answered", error=e.message)
                self._queue.clear()

    async def _pause(self) -> None:
        """Until there is a packet, or time to look after neighbours."""
        self._wake.clear()
        if self._queue:
            return
        try:
            busy = TICK_S if self.neighbours.known else None
            async with asyncio.timeout(TICK_ASKING_S if self.neighbours.pending else busy):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _answer(self, packet: of.PacketIn) -> None:
        terms = {name: value for name, value, _ in packet.match}
        table = pipeline.NAMES.get(packet.table, "")
        network, port = terms.get(pipeline.NETWORK, 0), terms.get(pipeline.SOURCE, 0)
        if not self._within_budget(port or network):
            self.counters["limited"] += 1
        elif packet.reason == of.INVALID_TTL:
            self._answer_expired(terms.get(pipeline.ROUTER, 0), network, packet.data)
        elif table == "service":
            self._answer_dhcp(port, packet.data)
        elif table == "learned":
            where = (network, terms.get(pipeline.NEXT_HOP, 0))
            self._ask(self.neighbours.miss(where, packet.data, clock.monotonic()))
        elif table == "arp":
            await self._hear(network, packet.data)

    def _within_budget(self, who: int) -> bool:
        now = clock.monotonic()
        if len(self._budgets) > BUDGETS_MAX:
            self._budgets.clear()
        budget = self._budgets.setdefault(who, _Budget(BUDGET_BURST, now))
        budget.left = min(BUDGET_BURST, budget.left + (now - budget.at) * BUDGET_PER_S)
        budget.at = now
        if budget.left < 1:
            return False
        budget.left -= 1
        return True

    def _answer_dhcp(self, port: int, frame: bytes) -> None:
        lease = self._lease_of(port)
        reply = None if lease is None else dhcp.answer(frame, lease)
        if reply is None or self.switch is None:
            self.counters["dhcp_ignored"] += 1
            return
        self.counters["dhcp_answered"] += 1
        self.switch.send(reply, (acts.Output(port),))

    def _answer_expired(self, router: int, network: int, frame: bytes) -> None:
        """Tell a guest that its packet had no hop left at its router.

        Only on the inside: to the world it would show addresses that translation hides.
        """
        foot = self.feet.get((router, network))
        reply = None if foot is None else expired.answer(frame, foot)
        if reply is None:
            self.counters["expired_ignored"] += 1
            return
        self.counters["expired_answered"] += 1
        self._send(reply, draft.put(pipeline.NETWORK, network), draft.resubmit("l2"))

    def _ask(self, questions: list[neighbours.Question]) -> None:
        for question in questions:
            asker = question.asker
            request = ethernet.Arp(ethernet.REQUEST, asker.mac, asker.address, 0, question.address)
            payload = ethernet.build_arp(request)
            frame = ethernet.Frame(ethernet.BROADCAST, asker.mac, ethernet.ARP, payload)
            self._send(
                ethernet.build(frame),
                draft.put(pipeline.NETWORK, question.network),
                draft.put(pipeline.SOURCE, pipeline.NOBODY),
                draft.resubmit("flood"),
            )
            self.counters["neighbours_asked"] += 1

    async def _hear(self, network: int, frame: bytes) -> None:
        reply = ethernet.parse_arp(ethernet.parse(frame).payload)
        if reply.op != ethernet.REPLY or reply.sha & ethernet.MULTICAST_BIT or not reply.sha:
            return
        where = (network, reply.spa)
        new, waited = self.neighbours.heard(where, reply.sha, clock.monotonic())
        if new and self.switch is not None:
            await self.switch.change([neighbours.flow(where, reply.sha)])
        for packet in waited:
            self._send(
                packet,
                draft.put(pipeline.NETWORK, network),
                draft.put("eth_dst", reply.sha),
                draft.resubmit("l2"),
            )

    async def _tick(self) -> None:
        questions, gone = self.neighbours.tick(clock.monotonic())
        self._ask(questions)
        if gone and self.switch is not None:
            try:
                await self.switch.change([neighbours.forget(where) for where in gone])
            except OctoError as e:
                _log.warning("neighbours not forgotten", error=e.message)

    def _send(self, data: bytes, *actions: acts.Action) -> None:
        if self.switch is not None:
            self.switch.send(data, actions)
