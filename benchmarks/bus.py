# SPDX-License-Identifier: Apache-2.0
"""Calls between parts, in the process and over a broker; sagas on SQLite."""

import asyncio
import tempfile
import time
from abc import abstractmethod
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from benchmarks.measure import Report, Row
from octostack.base.contract import Contract
from octostack.runtime.bus import Bus, InProcess, Transport
from octostack.runtime.bus.nats import Nats
from octostack.runtime.db import open_database
from octostack.runtime.saga import Runner, Saga, Step, add_table
from octostack.runtime.tasks import Supervisor
from octostack.testing.nats import Broker

CALLS, REMOTE_CALLS, CALLERS, SAGAS = 20_000, 1_000, 16, 200


class Thing(msgspec.Struct, frozen=True):
    """A small message."""

    id: str = "x" * 36
    name: str = "a server"
    size: int = 1


class Echo(Contract):
    """One call."""

    @abstractmethod
    async def echo(self, thing: Thing) -> Thing:
        """`thing` again."""


class _Echo(Echo):
    async def echo(self, thing: Thing) -> Thing:
        return thing


async def run(report: Report) -> None:
    """Calls one by one and by several callers; sagas of four steps one by one."""
    report.add(await _in_process())
    with tempfile.TemporaryDirectory() as directory, Broker(Path(directory)) as broker:
        ends = Nats(broker.config), Nats(broker.config)
        for row in await _over_broker(*ends):
            report.add(row)
        report.add(await _sagas(Path(directory)))


async def _in_process() -> Row:
    bus = Bus(Supervisor(), InProcess())
    await bus.serve(Echo, _Echo())
    stub, bare = bus.stub(Echo), _bare()
    samples = [await _each_us(stub.echo, CALLS) for _ in range(7)]
    peer_us = min([await _each_us(bare, CALLS) for _ in range(3)])
    return Row("call in the process", "us", samples, peer=f"codec alone {peer_us:.1f} us")


async def _over_broker(serving: Transport, calling: Transport) -> list[Row]:
    tasks = Supervisor()
    server, client = Bus(tasks, serving), Bus(tasks, calling)
    for bus in (server, client):
        await bus.start()
    await server.serve(Echo, _Echo())
    stub = client.stub(Echo)
    singles = [await _each_us(stub.echo, REMOTE_CALLS) for _ in range(5)]
    rates = []
    for _ in range(5):
        began = time.perf_counter()
        count = REMOTE_CALLS // CALLERS
        await asyncio.gather(*(_each_us(stub.echo, count) for _ in range(CALLERS)))
        rates.append(count * CALLERS / (time.perf_counter() - began))
    for bus in (client, server):
        await bus.stop()
    return [
        Row("call over NATS, both ends here", "us", singles),
        Row(f"calls over NATS, {CALLERS} callers", "/s", rates),
    ]


async def _sagas(directory: Path) -> Row:
    metadata = sa.MetaData()
    table = add_table(metadata)
    db = await open_database(f"sqlite:{directory}", "bench", metadata)

    async def step(_app: Any, _state: dict[str, Any]) -> dict[str, Any]:
        return {"done": True}

    saga = Saga("bench", tuple(Step(f"step{n}", step) for n in range(4)))
    tasks, runner = Supervisor(), Runner(db, table, None, [saga])
    await runner.launch(tasks)
    samples = []
    for number in range(SAGAS):
        began = time.perf_counter()
        async with db.write() as tx:
            await runner.start(tx, saga, str(number), {"subject": number})
        await runner.idle()
        samples.append((time.perf_counter() - began) * 1000)
    await tasks.stop()
    await db.close()
    return Row("saga of four steps, SQLite", "ms", samples)


async def _each_us(call: Any, count: int) -> float:
    """Microseconds per call, one after the other."""
    thing = Thing()
    began = time.perf_counter()
    for _ in range(count):
        await call(thing)
    return (time.perf_counter() - began) / count * 1e6


def _bare() -> Any:
    """What the bytes alone cost: encode and decode the message both ways."""
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Thing).decode

    async def call(thing: Thing) -> Thing:
        return decode(encode(decode(encode(thing))))

    return call
