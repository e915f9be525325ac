# SPDX-License-Identifier: Apache-2.0
"""Both ends of a bus, on every transport."""

import random
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest

from octostack.runtime.bus import Bus, InProcess
from octostack.runtime.bus.nats import Nats
from octostack.runtime.tasks import Supervisor
from octostack.testing.nats import Broker
from octostack.testing.simnet import SimBus, SimNet


class Ends(NamedTuple):
    """A side that serves and a side that calls; in the process they are one."""

    server: Bus
    client: Bus
    transport: str


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture(params=["inprocess", "nats", "simulated"])
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[Ends]:
    tasks = Supervisor()
    if request.param == "inprocess":
        bus = Bus(tasks, InProcess())
        pair = Ends(bus, bus, "inprocess")
    elif request.param == "simulated":
        net = SimNet(random.Random(1), delay_s=(0.0001, 0.0001))
        pair = Ends(Bus(tasks, SimBus(net, "a")), Bus(tasks, SimBus(net, "b")), "simulated")
    else:
        config = request.getfixturevalue("broker").config
        pair = Ends(Bus(tasks, Nats(config)), Bus(tasks, Nats(config)), "nats")
    for bus in {pair.server, pair.client}:
        await bus.start()
    yield pair
    for bus in (pair.client, pair.server):
        await bus.stop()
    await tasks.stop()
