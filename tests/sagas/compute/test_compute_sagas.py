# SPDX-License-Identifier: Apache-2.0
"""Boot and delete, hurt at every step: nothing is left behind, nothing is left hanging."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from octostack.base import clock, ids
from octostack.contracts.compute_agent import ComputeAgent
from octostack.contracts.identity import Caller
from octostack.contracts.image import ImageInfo
from octostack.runtime.saga import Runner
from octostack.runtime.tasks import Supervisor
from octostack.services.compute.core import boot as plan
from octostack.services.compute.core import defaults, quota, states
from octostack.services.compute.loops import hosts
from octostack.services.compute.loops.boot import BOOT
from octostack.services.compute.loops.delete import DELETE
from octostack.services.compute.model import Config, Image, NewServer, Server, Usage
from octostack.services.compute.store.api_db import tables as api_tables
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import servers
from octostack.services.compute.store.cell_db import tables as cell_tables
from octostack.testing import identity, sagas
from octostack.testing.cloud import TestCloud, running
from octostack.testing.compute import MemoryAgent, Neighbours

pytestmark = pytest.mark.anyio

CALLER = Caller(user_id="u1", project_id="p1", roles=("member", "reader"))


class World:
    """What outlives a process of Compute: its databases and everybody else."""

    def __init__(self, cloud: TestCloud, neighbours: Neighbours) -> None:
        self.runtime = cloud.runtime
        self.neighbours = neighbours
        self.server_id = ids.new()

    async def open(self) -> None:
        self.api_db = await self.runtime.database("c_api", api_tables.metadata)
        self.cell_db = await self.runtime.database("c_cell", cell_tables.metadata)
        app = self.make_app()
        compute = None
        for facts in self.neighbours.facts:
            made = self.neighbours.agents[facts.host] = MemoryAgent(facts, compute)  # type: ignore[arg-type]
            await self.runtime.bus.serve(ComputeAgent, made, instance=facts.host)
            await hosts.register(app, facts)
        self.world = app.world
        await self._insert()

    def make_app(self) -> App:
        """A process's memory, as after a start."""
        app = App(
            config=Config(build_attempts=1),
            bus=self.runtime.bus,
            api_db=self.api_db,
            cell_db=self.cell_db,
            public_url="http://x",
        )
        if hasattr(self, "world"):
            app.world = self.world
        return app

    async def _insert(self) -> None:
        image = self.neighbours.images.add()
        info: ImageInfo = self.neighbours.images.images[image]
        net = self.neighbours.network.add_network("net")
        facts = plan.Facts(
            flavor=defaults.FLAVORS[0], image=Image(id=image, sha512=info.sha512 or ""), key=None,
            group_id=None, used=Usage(), limits=quota.DEFAULTS, project_id="p1", user_id="u1",
            now=clock.now(),
        )  # fmt: skip
        new = NewServer(name="s", flavor_id="42", image_id=image)
        (server,) = plan.plan(new, facts, [self.server_id], "r-1")
        nics = [{"planned": {"network_id": net}, "tag": ""}]
        server = msgspec.structs.replace(server, boot=server.boot | {"nics": nics})
        async with self.cell_db.write() as tx:
            await servers.insert(tx, [server])

    async def row(self) -> Server:
        async with self.cell_db.read() as tx:
            return await servers.get(tx, self.server_id, deleted=True)

    async def held(self) -> bool:
        return await self.make_app().placement.find_allocations(self.server_id) is not None

    def machines(self) -> list[str]:
        return [m for a in self.neighbours.agents.values() for m in a.specs]

    async def is_active(self) -> None:
        row = await self.row()
        assert (row.vm_state, row.task_state, len(row.nics)) == (states.ACTIVE, None, 1)
        assert self.machines() == [self.server_id]
        (port,) = self.neighbours.network.ports.values()
        assert (port.device_id, port.host) == (self.server_id, row.host)
        assert await self.held()

    async def is_undone(self) -> None:
        row = await self.row()
        assert row.vm_state in (states.ERROR, states.BUILDING) and row.host is None
        assert row.vm_state == states.BUILDING or row.fault
        await self.nothing_left()

    async def nothing_left(self) -> None:
        assert not self.machines()
        assert not self.neighbours.network.ports
        assert not await self.held()

    async def is_deleted(self) -> None:
        row = await self.row()
        assert row.vm_state == states.DELETED and row.deleted_at
        await self.nothing_left()

    async def can_be_deleted_again(self) -> None:
        row = await self.row()
        assert (row.vm_state, row.task_state) == (states.ERROR, None)
        await self.run(DELETE)
        await self.is_deleted()

    async def run(self, saga: sagas.Saga) -> None:
        """Run a saga to its end, unhurt."""
        app = self.make_app()
        app.runner = Runner(self.cell_db, cell_tables.sagas, app, [saga], owner="other")
        tasks = Supervisor("other")
        await app.runner.launch(tasks)
        async with self.cell_db.write() as tx:
            await app.runner.start(tx, saga, self.server_id, self.state())
        await app.runner.idle()
        await tasks.stop()

    def state(self) -> dict[str, object]:
        return {"server_id": self.server_id, "caller": msgspec.to_builtins(CALLER)}

    def case(self, saga: sagas.Saga, *checks: object) -> sagas.Case:
        done, undone = checks
        return sagas.Case(
            saga=saga, db=self.cell_db, table=cell_tables.sagas, subject=self.server_id,
            state=self.state(), app=self.make_app, check_done=done, check_undone=undone,
        )  # type: ignore[arg-type]  # fmt: skip


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    neighbours = Neighbours()
    extra = [("identity", identity.build), ("image", neighbours.build_images),
             ("network", neighbours.build_network)]  # fmt: skip
    async with running(tmp_path, ["placement"], extra=extra) as cloud:
        made = World(cloud, neighbours)
        await made.open()
        yield made


@pytest.mark.parametrize("hurt", sagas.hurts(BOOT), ids=str)
async def test_boot_ends_done_or_undone(hurt: sagas.Hurt, world: World) -> None:
    await sagas.survive(world.case(BOOT, world.is_active, world.is_undone), hurt)


@pytest.mark.parametrize("hurt", sagas.hurts(DELETE), ids=str)
async def test_delete_ends(hurt: sagas.Hurt, world: World) -> None:
    await world.run(BOOT)
    await world.is_active()
    await sagas.survive(world.case(DELETE, world.is_deleted, world.can_be_deleted_again), hurt)


async def test_boot_on_hosts_that_another_process_registered(world: World) -> None:
    del world.world
    await world.run(BOOT)
    await world.is_active()
