# SPDX-License-Identifier: Apache-2.0
"""A network in memory, with all that goes wrong on a real one; for `testing.simloop`.

`SimNet` knows nodes by name. What one sends to another comes after a delay drawn from the seed, or
not at all: links can be cut one way or both, messages lost, nodes killed. On it stand

* `SimNet.at(node)`: a `runtime.net.Net` for the node. Streams are in order and whole; a cut holds
  them up, a kill breaks them.
* `SimBus`: a transport of the bus, as a broker gives it: at most once, answers may be lost although
  the work was done, a dead server is noticed by its silence.
"""

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable

from octostack.base.errors import Timeout, Unavailable
from octostack.runtime.bus.transport import Close, Handler, Listener
from octostack.runtime.net import Conn, Serve
from octostack.runtime.net import Listener as StreamListener
from octostack.runtime.tasks import Supervisor

SILENCE_S = 10.0
GRACE_S = 0.5
RETRANSMIT_S = 0.2


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
        self._stream_listeners: dict[str, _SimListener] = {}
        self._streams: list[_SimConn] = []
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
        for address, listener in list(self._stream_listeners.items()):
            if listener.node == node:
                del self._stream_listeners[address]
        for stream in self._streams:
            if stream.node == node:
                stream.desert()

    def break_streams(self, node: str) -> None:
        """Every stream of the node breaks, and both ends know."""
        for stream in [s for s in self._streams if node in (s.node, s.peer)]:
            self._break(stream)

    def break_one(self, rng: random.Random, node: str | None = None) -> None:
        """Some stream breaks (one of the node's), if there is any."""
        self._streams = [s for s in self._streams if not (s._ended and s.other._ended)]
        streams = [s for s in self._streams if node is None or node in (s.node, s.peer)]
        if streams:
            stream = rng.choice(streams)
            self._break(stream)
            self._break(stream.other)

    def _break(self, stream: "_SimConn") -> None:
        stream.break_off()
        if stream in self._streams:
            self._streams.remove(stream)

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

    def at(self, node: str) -> "NodeNet":
        """The streams of one node."""
        return NodeNet(self, node)

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


class NodeNet:
    """`runtime.net.Net` of one node."""

    def __init__(self, net: SimNet, node: str) -> None:
        self._net = net
        self._node = node

    async def dial(self, address: str, timeout_s: float = 10.0) -> Conn:
        """A stream to who listens at `address`."""
        net = self._net
        net.dials += 1
        listener = net._stream_listeners.get(address)
        if listener is None or listener.node in net.dead:
            await asyncio.sleep(net.rng.uniform(*net.delay_s))
            raise Unavailable(f"{address}: nobody listens.", code="net.refused")
        if not (net.reaches(self._node, listener.node) and net.reaches(listener.node, self._node)):
            await asyncio.sleep(timeout_s)
            raise Timeout(f"{address} did not answer.", code="net.timeout")
        await asyncio.sleep(net.rng.uniform(*net.delay_s))
        here = _SimConn(net, self._node, listener.node)
        there = _SimConn(net, listener.node, self._node)
        here.other, there.other = there, here
        net._streams += [here, there]
        listener.accept(there)
        return here

    async def listen(self, address: str, serve: Serve) -> StreamListener:
        """Run `serve` for each stream that comes to `address`, which is any text here.

        Port 0 takes one that is free.
        """
        if address.endswith(":0"):
            self._net.ports += 1
            address = f"{address[:-1]}{self._net.ports}"
        if address in self._net._stream_listeners:
            raise Unavailable(f"{address} is taken.", code="net.listen")
        listener = _SimListener(self._net, self._node, address, serve)
        self._net._stream_listeners[address] = listener
        return listener


class _SimListener:
    def __init__(self, net: SimNet, node: str, address: str, serve: Serve) -> None:
        self.node = node
        self.address = address
        self._net = net
        self._serve = serve
        self._tasks = Supervisor(f"listener {address}")
        self._context = contextvars.copy_context()  # who listens serves, not who dials

    def accept(self, conn: "_SimConn") -> None:
        async def run() -> None:
            try:
                await self._serve(conn)
            finally:
                conn.close()

        self._context.copy().run(self._tasks.start, f"stream {conn.peer}", run)

    async def close(self) -> None:
        self._net._stream_listeners.pop(self.address, None)
        await self._tasks.stop()


class _SimConn:
    """One end of a stream: what was sent waits in order until the link lets it through."""

    other: "_SimConn"

    def __init__(self, net: SimNet, node: str, peer: str) -> None:
        self.node = node
        self.peer = peer
        self._net = net
        self._inbox = bytearray()
        self._on_the_way: deque[bytes] = deque()
        self._due_s = 0.0
        self._ended = False
        self._broken = False
        self._changed = asyncio.Event()

    async def read(self, at_most: int) -> bytes:
        while not self._inbox and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        if self._broken:
            raise Unavailable(f"The stream to {self.peer} broke.", code="net.broken")
        data = bytes(self._inbox[:at_most])
        del self._inbox[:at_most]
        return data

    async def read_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = await self.read(count - len(data))
            if not more:
                raise Unavailable(f"The stream to {self.peer} ended.", code="net.broken")
            data += more
        return data

    async def write(self, data: bytes) -> None:
        if self._ended:
            raise Unavailable(f"The stream to {self.peer} broke.", code="net.broken")
        self._post(data)
        await asyncio.sleep(0)

    def close(self) -> None:
        if not self._ended:
            self._end()
            self._post(b"")

    def desert(self) -> None:
        """Who waits for bytes here is never woken again."""
        self._changed = asyncio.Event()

    def break_off(self) -> None:
        """The other node is gone, or this one."""
        self._broken = True
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._changed.set()

    def _post(self, data: bytes) -> None:
        """In order: no message is due before the one sent earlier."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._net.rng.uniform(*self._net.delay_s)
        self._due_s = max(due_s, self._due_s + 1e-6)
        self._on_the_way.append(data)
        loop.call_at(self._due_s, self._deliver)

    def _deliver(self) -> None:
        if self.other._broken:
            return
        if not self._net.reaches(self.node, self.peer):
            asyncio.get_running_loop().call_later(RETRANSMIT_S, self._deliver)
            return
        data = self._on_the_way.popleft()  # a later timer may take an earlier message: one each
        if data:
            self.other._inbox += data
            self.other._changed.set()
        else:
            self.other._end()
