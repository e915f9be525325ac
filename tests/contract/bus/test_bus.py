# SPDX-License-Identifier: Apache-2.0
"""What every transport of the bus must do."""

import asyncio
from abc import abstractmethod
from typing import Any

import msgspec
import pytest

from octostack.base import log
from octostack.base.contract import Contract, since
from octostack.base.errors import (
    Busy,
    Conflict,
    Invalid,
    NotFound,
    OctoError,
    Timeout,
    Unavailable,
    Unsupported,
)
from octostack.runtime import scopes

pytestmark = pytest.mark.anyio


class Thing(msgspec.Struct, frozen=True):
    id: str
    tags: tuple[str, ...] = ()
    size: int | None = None


class Store(Contract):
    VERSION = (1, 1)

    @abstractmethod
    async def get(self, thing_id: str) -> Thing: ...

    @abstractmethod
    async def put(self, thing: Thing, replace: bool = False) -> Thing: ...

    @abstractmethod
    async def fail(self, how: str) -> None: ...

    @abstractmethod
    async def hold(self) -> str: ...

    @abstractmethod
    async def echo(self, data: bytes) -> bytes: ...

    @abstractmethod
    async def context(self) -> tuple[str, str]: ...

    @since(1, 1)
    @abstractmethod
    async def count(self) -> int: ...


class Memory(Store):
    """A small real store."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.things: dict[str, Thing] = {}
        self.entered = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.held = 0

    async def get(self, thing_id: str) -> Thing:
        if thing_id not in self.things:
            raise NotFound(f"No {thing_id}.", code="ThingNotFound", id=thing_id, hints=[1, "a"])
        return self.things[thing_id]

    async def put(self, thing: Thing, replace: bool = False) -> Thing:
        if thing.id in self.things and not replace:
            raise Conflict("It is there.")
        self.things[thing.id] = thing
        return thing

    async def fail(self, how: str) -> None:
        if how == "timeout":
            raise TimeoutError("the implementation's own")
        raise KeyError("the password is sesame")

    async def hold(self) -> str:
        self.held += 1
        self.entered.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return self.name

    async def echo(self, data: bytes) -> bytes:
        return data

    async def context(self) -> tuple[str, str]:
        return log.request_id.get(), scopes.served.get().trace

    async def count(self) -> int:
        return len(self.things)


async def test_a_call_comes_back_with_its_result(ends: Any) -> None:
    await ends.server.serve(Store, Memory())
    store = ends.client.stub(Store)
    thing = Thing("a", ("x", "y"), 3)
    assert await store.put(thing) == thing
    assert await store.put(thing=thing, replace=True) == thing
    assert await store.get("a") == thing
    assert await store.count() == 1


async def test_the_server_gets_a_copy(ends: Any) -> None:
    memory = Memory()
    await ends.server.serve(Store, memory)
    thing = Thing("a")
    await ends.client.stub(Store).put(thing)
    assert memory.things["a"] == thing
    assert memory.things["a"] is not thing


async def test_errors_cross_with_kind_code_message_and_details(ends: Any) -> None:
    await ends.server.serve(Store, Memory())
    with pytest.raises(NotFound) as caught:
        await ends.client.stub(Store).get("b")
    assert caught.value.code == "ThingNotFound"
    assert caught.value.message == "No b."
    assert caught.value.details == {"id": "b", "hints": [1, "a"]}


@pytest.mark.parametrize("how", ["timeout", "key"])
async def test_an_unknown_error_keeps_its_text_to_the_server(ends: Any, how: str) -> None:
    await ends.server.serve(Store, Memory())
    with pytest.raises(OctoError) as caught:
        await ends.client.stub(Store).fail(how)
    assert type(caught.value) is OctoError
    assert caught.value.code == "bus.internal"
    assert "sesame" not in str(caught.value)


async def test_what_has_the_wrong_type_is_invalid(ends: Any) -> None:
    await ends.server.serve(Store, Memory())
    with pytest.raises(Invalid, match="thing_id"):
        await ends.client.stub(Store).get(5)
    with pytest.raises(TypeError):
        await ends.client.stub(Store).get()


async def test_nobody_serves(ends: Any) -> None:
    with pytest.raises(Unavailable) as caught:
        await ends.client.stub(Store).get("a")
    assert caught.value.code == "bus.no_server"


async def test_no_longer_served(ends: Any) -> None:
    close = await ends.server.serve(Store, Memory())
    await close()
    with pytest.raises(Unavailable):
        await ends.client.stub(Store, timeout_s=2).get("a")


async def test_instances_are_addressed_by_name(ends: Any) -> None:
    for name in ("host1", "host1.example.org", "*", "a b>c"):
        memory = Memory(name)
        memory.go.set()
        await ends.server.serve(Store, memory, instance=name)
    for name in ("*", "host1.example.org", "host1", "a b>c"):
        assert await ends.client.stub(Store, instance=name).hold() == name
    with pytest.raises(Unavailable):
        await ends.client.stub(Store).hold()


async def test_the_deadline_ends_the_work_as_well(ends: Any) -> None:
    memory = Memory()
    await ends.server.serve(Store, memory)
    with pytest.raises(Timeout) as caught:
        await ends.client.stub(Store, timeout_s=0.05).hold()
    assert caught.value.code == "bus.timeout"
    await memory.cancelled.wait()


async def test_a_cancelled_caller_cancels_the_work(ends: Any) -> None:
    memory = Memory()
    await ends.server.serve(Store, memory)
    task = asyncio.create_task(ends.client.stub(Store).hold())
    await memory.entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await memory.cancelled.wait()


async def test_bounds_are_kept_and_the_next_is_busy(ends: Any) -> None:
    memory = Memory("m")
    await ends.server.serve(Store, memory, limit=2, queue_max=3)
    stub = ends.client.stub(Store)
    calls = [asyncio.create_task(stub.hold()) for _ in range(6)]
    first, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    (refused,) = first
    assert isinstance(refused.exception(), Busy)
    assert memory.held == 2
    memory.go.set()
    calls.remove(refused)
    assert await asyncio.gather(*calls) == ["m"] * 5
    assert memory.held == 5
    assert await stub.hold() == "m"


async def test_who_waits_in_the_queue_may_be_cancelled_or_late(ends: Any) -> None:
    memory = Memory("m")
    await ends.server.serve(Store, memory, limit=1, queue_max=10)
    holder = asyncio.create_task(ends.client.stub(Store).hold())
    await memory.entered.wait()
    with pytest.raises(Timeout):
        await ends.client.stub(Store, timeout_s=0.05).hold()
    waiter = asyncio.create_task(ends.client.stub(Store).hold())
    await asyncio.sleep(0)
    waiter.cancel()
    memory.go.set()
    assert await holder == "m"
    assert await ends.client.stub(Store).hold() == "m"
    assert memory.held in (2, 3)  # over a broker the cancelled one may have begun


async def test_the_request_id_and_the_trace_go_along(ends: Any) -> None:
    class Front(Contract):
        @abstractmethod
        async def ask(self) -> tuple[str, str]: ...

    class Impl(Front):
        async def ask(self) -> tuple[str, str]:
            return await ends.client.stub(Store).context()

    await ends.server.serve(Store, Memory())
    await ends.server.serve(Front, Impl())
    token = log.request_id.set("req-1")
    try:
        answer = await ends.client.stub(Front).ask()
        assert log.request_id.get() == "req-1"
        assert scopes.served.get().trace == ""
    finally:
        log.request_id.reset(token)
    assert answer == ("req-1", "Front.ask>Store.context")


async def test_calls_made_while_serving_share_the_deadline(ends: Any) -> None:
    class Front(Contract):
        @abstractmethod
        async def ask(self) -> str: ...

    memory = Memory()
    inner: list[BaseException] = []

    class Impl(Front):
        async def ask(self) -> str:
            try:
                return await ends.client.stub(Store, timeout_s=3600).hold()
            except BaseException as error:
                inner.append(error)
                raise

    await ends.server.serve(Store, memory)
    await ends.server.serve(Front, Impl())
    with pytest.raises(Timeout):
        await ends.client.stub(Front, timeout_s=0.05).ask()
    await memory.cancelled.wait()
    assert len(inner) == 1


async def test_a_call_within_a_write_transaction_is_refused(ends: Any) -> None:
    await ends.server.serve(Store, Memory())
    token = scopes.writing.set("network")
    try:
        with pytest.raises(AssertionError, match="network"):
            await ends.client.stub(Store).count()
    finally:
        scopes.writing.reset(token)


async def test_calls_in_a_circle_end(ends: Any) -> None:
    class Round(Contract):
        @abstractmethod
        async def go(self) -> int: ...

    class Impl(Round):
        async def go(self) -> int:
            return await ends.client.stub(Round).go()

    await ends.server.serve(Round, Impl())
    with pytest.raises(OctoError) as caught:
        await ends.client.stub(Round, timeout_s=5).go()
    assert caught.value.code == "bus.circle"


@pytest.mark.parametrize("size", [0, 1_000_000, (1 << 20) - 1, 1 << 20, 5_000_000])
async def test_any_size_goes_through(ends: Any, size: int) -> None:
    await ends.server.serve(Store, Memory())
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert await ends.client.stub(Store).echo(data) == data


class Old:
    """The first version of the same contract."""

    class Store(Contract):
        VERSION = (1, 0)

        @abstractmethod
        async def get(self, thing_id: str) -> Thing: ...

    class Memory(Store):
        async def get(self, thing_id: str) -> Thing:
            return Thing(thing_id)


async def test_an_older_peer_is_known_by_its_version(ends: Any) -> None:
    await ends.server.serve(Old.Store, Old.Memory())
    store = ends.client.stub(Store)
    assert await store.get("a") == Thing("a")
    assert await ends.client.peer_version(Store) == (1, 0)
    with pytest.raises(Unsupported) as caught:
        await store.count()
    assert caught.value.code == "bus.peer_too_old"
    fresh = ends.client.stub(Store)
    with pytest.raises(Unsupported):
        await fresh.count()


async def test_an_upgraded_peer_is_noticed(ends: Any) -> None:
    close = await ends.server.serve(Old.Store, Old.Memory())
    store = ends.client.stub(Store)
    with pytest.raises(Unsupported):
        await store.count()
    await close()
    await ends.server.serve(Store, Memory())
    await store.put(Thing("a"))
    assert await store.count() == 1


async def test_a_newer_callers_parameter_is_ignored_and_an_older_ones_gets_its_default(
    ends: Any,
) -> None:
    class New:
        class Store(Contract):
            @abstractmethod
            async def get(self, thing_id: str, deep: bool = False) -> Thing: ...

    class Newer(New.Store):
        async def get(self, thing_id: str, deep: bool = False) -> Thing:
            return Thing(thing_id, (str(deep),))

    close = await ends.server.serve(Old.Store, Old.Memory())
    assert await ends.client.stub(New.Store).get("a", deep=True) == Thing("a")
    await close()
    await ends.server.serve(New.Store, Newer())
    assert await ends.client.stub(Old.Store).get("a") == Thing("a", ("False",))


async def test_another_major_version_is_refused(ends: Any) -> None:
    class Next:
        class Store(Contract):
            VERSION = (2, 0)

            @abstractmethod
            async def get(self, thing_id: str) -> Thing: ...

    await ends.server.serve(Old.Store, Old.Memory())
    with pytest.raises(Unsupported) as caught:
        await ends.client.stub(Next.Store).get("a")
    assert caught.value.code == "bus.major"


async def test_events_reach_every_listener_in_order(ends: Any) -> None:
    seen: dict[str, list[Thing]] = {"a": [], "b": []}
    done = asyncio.Event()

    def listener(name: str) -> Any:
        async def handle(thing: Thing) -> None:
            seen[name].append(thing)
            if thing.id == "1" and name == "a":
                raise ValueError("one handler's trouble")
            if all(len(things) == 3 for things in seen.values()):
                done.set()

        return handle

    for name in seen:
        await ends.client.subscribe("things", listener(name), Thing)
    await ends.client.subscribe("other", listener("a"), Thing)
    for number in range(3):
        ends.server.publish("things", Thing(str(number)))
    await done.wait()
    assert [thing.id for thing in seen["a"]] == ["0", "1", "2"]


async def test_events_carry_the_request_id_and_stop_when_closed(ends: Any) -> None:
    ids: asyncio.Queue[str] = asyncio.Queue()

    async def handle(thing: Thing) -> None:
        ids.put_nowait(log.request_id.get())

    close = await ends.client.subscribe("things", handle, Thing)
    token = log.request_id.set("req-2")
    ends.server.publish("things", Thing("a"))
    log.request_id.reset(token)
    assert await ids.get() == "req-2"
    await close()
    ends.server.publish("things", Thing("b"))
    await ends.server.serve(Store, Memory())
    await ends.client.stub(Store).count()  # a round trip behind the event
    assert ids.empty()
