# SPDX-License-Identifier: Apache-2.0
"""A network in memory, with all that goes wrong on a real one; for `testing.simloop`.

`SimNet` knows nodes by name. What one sends to another comes after a delay drawn from the seed, or
not at all: links can be cut one way or both, messages lost, nodes killed. On it stand

* `SimNet.at(node)`: the node's `runtime.msgr.carrier.Carriers`. Streams are in order and whole; a
  cut holds them up, a kill breaks them. One that breaks `late` at the other end still brings what
  was on its way there, after what was sent on a newer one.
* `SimBus`: a transport of the bus, as a broker gives it: at most once, answers may be lost although
  the work was done, a dead server is noticed by its silence.
"""

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable, Iterable

from octostack.base.errors import Timeout, Unavailable
from octostack.runtime.bus.transport import Close, Handler, Listener
from octostack.runtime.msgr.carrier import Accept, Buffer, Carrier, Listening, Sink
from octostack.runtime.tasks import Supervisor

SILENCE_S = 10.0
GRACE_S = 0.5
RETRANSMIT_S = 0.2
HELD_S, LATE_S = (0.05, 2.0), (0.05, 6.0)


class SimNet:
    """Who is there, which links are cut, and how bad the weather is."""

    def __init__(
        self, rng: random.Random, *, delay_s: tuple[float, float] = (0.0002, 0.02), loss: float = 0
    ) -> None:
        self.rng = rng
        self.delay_s = delay_s
        self.loss = loss
        self.dead: set[str] = set()
        self.servers: dict[str, list[tuple[str, Handler]]] = {}
        self.listeners: dict[str, list[tuple[str, Listener]]] = {}
        self.workers: dict[str, Supervisor] = {}  # of each node, the calls it serves
        self._cut: set[tuple[str, str]] = set()
        self._ports: dict[tuple[str, int], _SimListening] = {}
        self._streams: dict[_SimCarrier, None] = {}  # both ends of each, in the order they began
        self.ports = 40_000  # the last that was taken
        self.dials = 0  # how many streams were asked for

    def cut(self, one: str, other: str, *, both: bool = True) -> None:
        """Nothing goes from `one` to `other`, nor back unless only one way is cut."""
        self._cut.add((one, other))
        if both:
            self._cut.add((other, one))

    def heal(self) -> None:
        """Every link works again."""
        self._cut.clear()
        for stream in self._streams:
            stream.go_on()

    async def kill(self, node: str) -> None:
        """The node is gone: what it served, the calls it worked on, and every stream of it."""
        self.forget(node)
        self.break_streams(node)
        self.switch_off(node)
        workers = self.workers.pop(node, None)
        if workers is not None:
            await workers.stop()

    def switch_off(self, node: str) -> None:
        """The node falls silent: others find out by themselves that their streams lead nowhere."""
        self.dead.add(node)
        for place, listening in list(self._ports.items()):
            if listening.node == node:
                del self._ports[place]
        for stream in [one for one in self._streams if one.node == node]:
            stream.desert()

    def break_streams(self, node: str) -> None:
        """Every stream of the node breaks, and both ends know."""
        for stream in [one for one in self._streams if node in (one.node, one.other.node)]:
            stream.break_off()

    def break_one(self, rng: random.Random, node: str | None = None, *, late: bool = False) -> None:
        """Some stream breaks (one of the node's), if there is any. When `late`, nothing gets
        through at first, then this end finds out; the other one hears all some seconds later."""
        streams = [one for one in self._streams if node is None or one.node == node]
        if not streams:
            return
        stream = rng.choice(streams)
        if not late:
            stream.break_off()
            stream.other.break_off()
            return
        after_s = rng.uniform(*HELD_S)
        stream.hold(after_s + rng.uniform(*LATE_S))
        asyncio.get_running_loop().call_later(after_s, stream.part)

    def forget(self, node: str) -> None:
        """Nothing is served or listened to there any more."""
        for servers in self.servers.values():
            servers[:] = [entry for entry in servers if entry[0] != node]
        for listeners in self.listeners.values():
            listeners[:] = [entry for entry in listeners if entry[0] != node]

    def revive(self, node: str) -> None:
        """A new process in the node's place, which serves nothing yet."""
        self.dead.discard(node)

    def reaches(self, source: str, target: str) -> bool:
        """Whether something sent now would arrive."""
        return not ({source, target} & self.dead) and (source, target) not in self._cut

    def send(self, source: str, target: str, deliver: Callable[[], None]) -> None:
        """Call `deliver` after a delay, unless the message is lost on the way."""
        if source != target and (not self.reaches(source, target) or self._lost()):
            return
        delay_s = self.rng.uniform(*self.delay_s) if source != target else 0.0

        def arrive() -> None:
            if self.reaches(source, target) or source == target:
                deliver()

        asyncio.get_running_loop().call_later(delay_s, arrive)

    def at(self, node: str) -> "SimCarriers":
        """The streams of one node."""
        return SimCarriers(self, node)

    def _lost(self) -> bool:
        return self.loss > 0 and self.rng.random() < self.loss


class SimBus:
    """A bus transport for one node of a `SimNet`."""

    def __init__(self, net: SimNet, node: str) -> None:
        self._net = net
        self._node = node
        self._tasks = Supervisor(f"bus of {node}")

    async def start(self) -> None:
        """Be a node of the network."""
        self._net.workers[self._node] = self._tasks

    @property
    def connected(self) -> bool:
        """Always, to the broker that is not there."""
        return True

    async def stop(self) -> None:
        """Serve no more; calls begun are cut off, as by a kill."""
        self._net.forget(self._node)
        await self._tasks.stop()

    async def serve(self, subject: str, handler: Handler) -> Close:
        """Answer calls of `subject`."""
        entry = (self._node, handler)
        self._net.servers.setdefault(subject, []).append(entry)

        async def close() -> None:
            servers = self._net.servers[subject]
            if entry in servers:
                servers.remove(entry)

        return close

    async def call(self, subject: str, request: bytes, timeout_s: float) -> bytes:
        """The answer of one server, drawn from those the broker knows."""
        servers = self._net.servers.get(subject)
        if not servers:
            raise Unavailable(f"Nobody serves {subject}.", code="bus.no_server")
        target, handler = self._net.rng.choice(servers)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        working: list[asyncio.Task[None]] = []

        def answered(data: bytes) -> None:
            if not answer.done():
                answer.set_result(data)

        async def work() -> None:
            data = await handler(request)
            self._net.send(target, self._node, lambda: answered(data))

        def arrived() -> None:
            workers = self._net.workers.get(target)
            if workers is not None:
                working.append(workers.spawn(f"{target}: {subject}", work()))

        def abandoned() -> None:
            for task in working:
                task.cancel()

        self._net.send(self._node, target, arrived)
        limit_s = min(timeout_s + GRACE_S, SILENCE_S)
        try:
            async with asyncio.timeout(limit_s):
                return await answer
        except asyncio.CancelledError:
            self._net.send(self._node, target, abandoned)
            raise
        except TimeoutError:
            if limit_s < SILENCE_S:
                raise Timeout(f"{subject} did not answer.", code="bus.timeout") from None
            raise Unavailable(f"{subject} fell silent.", code="bus.lost") from None

    def publish(self, topic: str, event: bytes) -> None:
        """To each listener on its own way."""
        for node, listener in self._net.listeners.get(topic, ()):
            self._net.send(self._node, node, lambda to=listener: to(event))  # type: ignore[misc]

    async def listen(self, topic: str, listener: Listener) -> Close:
        """Give each event that arrives to `listener`."""
        entry = (self._node, listener)
        entries = self._net.listeners.setdefault(topic, [])
        entries.append(entry)

        async def close() -> None:
            if entry in entries:
                entries.remove(entry)

        return close


class SimCarriers:
    """`runtime.msgr.carrier.Carriers` of one node."""

    def __init__(self, net: SimNet, node: str) -> None:
        self._net = net
        self._node = node

    async def dial(self, host: str, port: int, timeout_s: float) -> Carrier:
        """A stream to who listens there."""
        net = self._net
        net.dials += 1
        listening = net._ports.get((host, port))
        if listening is None:
            await asyncio.sleep(net.rng.uniform(*net.delay_s))
            raise Unavailable(f"{host}:{port}: nobody listens.", code="net.refused")
        there = listening.node
        if not (net.reaches(self._node, there) and net.reaches(there, self._node)):
            await asyncio.sleep(timeout_s)
            raise Timeout(f"{host}:{port} did not answer.", code="net.timeout")
        await asyncio.sleep(net.rng.uniform(*net.delay_s))
        if net._ports.get((host, port)) is not listening:
            raise Unavailable(f"{host}:{port}: nobody listens.", code="net.refused")
        here = _SimCarrier(net, self._node, (host, port), contextvars.copy_context())
        other = _SimCarrier(net, there, ("127.0.0.1", 0), listening.context)
        here.other, other.other = other, here
        net._streams |= {here: None, other: None}
        asyncio.get_running_loop().call_soon(listening.accept, other, context=listening.context)
        return here

    async def listen(self, host: str, port: int, accept: Accept) -> Listening:
        """Give each stream that comes there to `accept`."""
        if not port:
            self._net.ports += 1
            port = self._net.ports
        if (host, port) in self._net._ports:
            raise Unavailable(f"{host}:{port} is taken.", code="net.listen")
        listening = _SimListening(self._net, self._node, (host, port), accept)
        self._net._ports[host, port] = listening
        return listening


class _SimListening:
    def __init__(self, net: SimNet, node: str, place: tuple[str, int], accept: Accept) -> None:
        self.host, self.port = place
        self.node = node
        self.accept = accept
        self.context = contextvars.copy_context()  # who listens serves, not who dials
        self._net = net

    async def close(self) -> None:
        if self._net._ports.get((self.host, self.port)) is self:
            del self._net._ports[self.host, self.port]


class _SimCarrier:
    """One end of a stream: what was sent from it waits in order until the link lets it through.

    All that its owner is told, it is told in the owner's context: a process that was killed hears
    nothing more (`testing.lives`).
    """

    other: "_SimCarrier"

    def __init__(
        self, net: SimNet, node: str, peer: tuple[str, int], context: contextvars.Context
    ) -> None:
        self.node = node
        self.peer = peer
        self.pending = 0
        self._net = net
        self._context = context
        self._sink: Sink | None = None
        self._inbox: deque[bytes] = deque()  # came, and could not be given yet; empty: the end
        self._paused = False
        self._ended = False  # nothing is sent or heard any more
        self._on_the_way: deque[tuple[float, bytes]] = deque()  # due when
        self._moves = False  # the first of these has its timer
        self._held_until_s = 0.0

    # What its owner calls

    def attach(self, sink: Sink) -> None:
        self._sink = sink
        self._give_soon()

    def write(self, buffers: Iterable[Buffer]) -> None:
        if not self._ended:
            self._post(b"".join(buffers))

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._give_soon()

    def close(self) -> None:
        self._sink = None
        if not self._ended:
            self._ended = True
            self._post(b"")
            self._forget()

    # What the network does

    def desert(self) -> None:
        """Nobody is here any more, and nobody was told."""
        self._sink = None

    def break_off(self) -> None:
        """The stream is no more, for this end."""
        if not self._ended:
            self._ended = True
            self._inbox = deque([b""])
            self._paused = False
            self._give_soon()
            self._forget()

    def hold(self, seconds: float) -> None:
        """Nothing from here gets there any sooner."""
        self._held_until_s = asyncio.get_running_loop().time() + seconds

    def part(self) -> None:
        """The stream is no more, for this end; the other one hears the end after all the rest."""
        if not self._ended:
            self._post(b"")
            self.break_off()

    def go_on(self) -> None:
        """The link may let things through again."""
        if self._on_the_way and not self._moves:
            delay_s = self._net.rng.uniform(0, RETRANSMIT_S)
            self._move_at(asyncio.get_running_loop().time() + delay_s)

    def _forget(self) -> None:
        """Let go of a stream that neither end has any more."""
        self._net._streams.pop(self, None)

    def _post(self, data: bytes) -> None:
        """In order: nothing is due before what was sent earlier."""
        if self.other._ended:
            return
        due_s = asyncio.get_running_loop().time() + self._net.rng.uniform(*self._net.delay_s)
        due_s = max(due_s, self._held_until_s)
        if self._on_the_way:
            due_s = max(due_s, self._on_the_way[-1][0])
        self._on_the_way.append((due_s, data))
        if not self._moves:
            self._move_at(due_s)

    def _move_at(self, due_s: float) -> None:
        self._moves = True
        asyncio.get_running_loop().call_at(due_s, self._move, context=self.other._context)

    def _move(self) -> None:
        """Let through what is due."""
        self._moves = False
        if self.other._ended:
            self._on_the_way.clear()
            return
        if (self.node, self.other.node) in self._net._cut:
            return  # until the network heals
        now_s = asyncio.get_running_loop().time()
        while self._on_the_way and self._on_the_way[0][0] <= now_s:
            self.other._inbox.append(self._on_the_way.popleft()[1])
        if self._on_the_way:
            self._move_at(self._on_the_way[0][0])
        self.other._give()

    def _give_soon(self) -> None:
        if self._inbox:
            asyncio.get_running_loop().call_soon(self._give, context=self._context)

    def _give(self) -> None:
        """Tell the owner what came."""
        while self._inbox and not self._paused and self._sink is not None:
            data = self._inbox.popleft()
            if not data:
                sink = self._sink
                self.close()
                sink.lost("the other side closed it")
                return
            left = memoryview(data)
            while left and self._sink is not None:
                room = self._sink.buffer()
                count = min(len(room), len(left))
                room[:count] = left[:count]
                left = left[count:]
                self._sink.received(count)
