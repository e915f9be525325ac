# SPDX-License-Identifier: Apache-2.0
"""What only a broker can do to a bus: die, refuse, hide a dead peer."""

import asyncio
import os
import signal
import subprocess
import sys
from abc import abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from octostack.base.contract import Contract
from octostack.base.errors import OctoError, TooLarge, Unavailable
from octostack.runtime.bus import Bus, nats
from octostack.runtime.bus.nats import Nats
from octostack.runtime.tasks import Supervisor
from octostack.testing.nats import Broker
from octostack.wire import frames

pytestmark = pytest.mark.anyio


class Echo(Contract):
    @abstractmethod
    async def echo(self, data: bytes) -> bytes: ...

    @abstractmethod
    async def hold(self) -> int: ...


class Impl(Echo):
    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go = asyncio.Event()

    async def echo(self, data: bytes) -> bytes:
        return data

    async def hold(self) -> int:
        self.entered.set()
        await self.go.wait()
        return os.getpid()


@pytest.fixture
async def buses(broker: Broker) -> AsyncIterator[tuple[Bus, Bus]]:
    tasks = Supervisor()
    pair = Bus(tasks, Nats(broker.config)), Bus(tasks, Nats(broker.config))
    for bus in pair:
        await bus.start()
    yield pair
    for bus in pair:
        await bus.stop()
    await tasks.stop()


async def test_what_is_too_large_is_refused_by_who_would_send_it(buses: tuple[Bus, Bus]) -> None:
    server, client = buses
    await server.serve(Echo, Impl())
    with pytest.raises(TooLarge):
        await client.stub(Echo).echo(bytes(frames.TOTAL_BYTES_MAX + 1))
    with pytest.raises(TooLarge):  # here it is the answer that passes the bound
        await client.stub(Echo).echo(bytes(frames.TOTAL_BYTES_MAX - 40))
    assert await client.stub(Echo).echo(b"x") == b"x"


async def test_a_wrong_token_opens_nothing(broker: Broker) -> None:
    config = msgspec.structs.replace(broker.config, token="guess", start_timeout_s=0.5)
    with pytest.raises(Unavailable) as caught:
        await Nats(config).start()
    assert caught.value.code == "bus.broker"
    assert broker.token not in str(caught.value)


async def test_what_is_served_here_is_called_here(broker: Broker) -> None:
    """No broker is asked: its death does not matter to the parts of one process."""
    transport = Nats(broker.config)
    bus = Bus(Supervisor(), transport)
    impl = Impl()
    impl.go.set()
    await bus.start()
    await bus.serve(Echo, impl)
    await transport._nats.close()
    assert await bus.stub(Echo).hold() == os.getpid()


async def test_leaving_finishes_what_has_begun(buses: tuple[Bus, Bus]) -> None:
    server, client = buses
    impl = Impl()
    await server.serve(Echo, impl)
    call = asyncio.create_task(client.stub(Echo).hold())
    await impl.entered.wait()
    stop = asyncio.create_task(server.stop())
    while True:  # from now on nobody serves, though one call is still being answered
        try:
            await client.stub(Echo, timeout_s=1).echo(b"")
        except OctoError:
            break
    impl.go.set()
    assert await call == os.getpid()
    await stop


async def test_a_broker_that_dies_and_comes_back(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        tasks = Supervisor()
        server, client = Bus(tasks, Nats(broker.config)), Bus(tasks, Nats(broker.config))
        for bus in (server, client):
            await bus.start()
        impl = Impl()
        await server.serve(Echo, impl)
        call = asyncio.create_task(client.stub(Echo).hold())
        await impl.entered.wait()
        broker.kill()
        with pytest.raises(Unavailable):  # at once, not after the call's minute
            await asyncio.wait_for(call, 20)
        with pytest.raises(Unavailable):
            await client.stub(Echo).echo(b"")
        broker.start()
        async with asyncio.timeout(30):
            while True:
                try:
                    assert await client.stub(Echo).echo(b"back") == b"back"
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)
        for bus in (client, server):
            await bus.stop()


SERVER = """
import asyncio, os, sys
from {module} import Echo
from octostack.runtime.bus import Bus
from octostack.runtime.bus.nats import Nats, NatsConfig
from octostack.runtime.tasks import Supervisor

class Impl(Echo):
    async def echo(self, data): return str(os.getpid()).encode()
    async def hold(self): await asyncio.Event().wait()

async def main():
    bus = Bus(Supervisor(), Nats(NatsConfig(servers=(sys.argv[1],), token=sys.argv[2])))
    await bus.start()
    await bus.serve(Echo, Impl())
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def spawn_server(broker: Broker, tmp_path: Path) -> "subprocess.Popen[bytes]":
    script = tmp_path / "server.py"
    script.write_text(SERVER.replace("{module}", Path(__file__).stem))
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, script, broker.config.servers[0], broker.token],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


async def test_a_killed_server_is_noticed_and_others_go_on(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats, "ALIVE_EVERY_S", 0.1)
    monkeypatch.setattr(nats, "SILENCE_S", 1.0)
    client = Bus(Supervisor(), Nats(broker.config))
    await client.start()
    processes = [spawn_server(broker, tmp_path) for _ in range(2)]
    try:
        stub = client.stub(Echo)
        seen = {int(await stub.echo(b"")) for _ in range(50)}
        assert seen == {process.pid for process in processes}  # the calls are shared
        processes[0].send_signal(signal.SIGSTOP)  # holds its connection, and answers nothing
        with pytest.raises(Unavailable) as caught:
            while True:
                await stub.echo(b"")
        assert caught.value.code == "bus.lost"
        processes[0].kill()
        processes[0].wait()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert int(await stub.echo(b"")) == processes[1].pid
                    break
                except Unavailable:
                    continue
    finally:
        for process in processes:
            process.kill()
            process.communicate()
        await client.stop()
