# SPDX-License-Identifier: Apache-2.0
"""The whole cloud on virtual time: every service, simulated hosts, a bad network, kills.

Each part is a process of its own in the simulation, with its own bus node and its rows on disk.
Servers are ordered and deleted while parts are killed, links are cut and messages are lost. At the
end every server that is wanted is at rest, every one that was deleted is gone, and no part keeps
anything that belongs to none.
"""

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.apps import neighbours, parts
from octostack.apps.cloud import Cloud
from octostack.contracts.compute import Compute
from octostack.runtime.bus import Bus
from octostack.runtime.service import Runtime
from octostack.runtime.tasks import Supervisor
from octostack.testing import simloop
from octostack.testing.simnet import SimBus, SimNet

SEEDS = range(int(os.environ.get("SIM_SEEDS", "20")) // 10)
if "SIM_SEED" in os.environ:
    SEEDS = range(int(os.environ["SIM_SEED"]), int(os.environ["SIM_SEED"]) + 1)
URL = "http://cloud.test"
SERVICES = tuple(part.name for part in parts.SERVICES)
PARTS = (*SERVICES, "hosts")
HOSTS = 3


async def _silent(_name: str) -> None:
    return None


class Process:
    """One life of one part."""

    def __init__(self, world: "World", part: str) -> None:
        tasks = Supervisor(part)
        runtime = Runtime(
            state_dir=world.directory,
            bus=Bus(tasks, SimBus(world.net, part)),
            tasks=tasks,
            public_url=URL,
            database_url=f"sqlite:{world.directory / 'db'}",
        )
        self.part = part
        self.cloud = Cloud(runtime)
        self.world = world

    async def start(self) -> None:
        wanted = [p for p in parts.SERVICES if p.name == self.part]
        tables: dict[str, dict[str, Any]] = {}
        if self.part == "hosts":
            wanted = list(parts.SIMULATED_HOSTS)
            tables = {p.name: {"hosts": HOSTS} for p in wanted}
        builders = [(p.name, p.builder(tables.get(p.name, {}))) for p in wanted]
        self.world.net.revive(self.part)
        before = neighbours.before([self.part])
        await self.cloud.start(builders, _silent, before)
        self.transport = httpx2.ASGITransport(app=self.cloud.front)

    async def kill(self) -> None:
        """Nothing is told to anyone; what was committed is there."""
        await self.world.net.kill(self.part)
        await self.cloud.runtime.tasks.stop()
        for db in self.cloud.runtime._databases:
            await db.close()


class World:
    """The parts that live now, and a user."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.rng = random.Random(f"world {seed}")
        self.directory = directory
        self.net = SimNet(self.rng)
        self.processes: dict[str, Process] = {}
        self.token = self.image = self.network = ""

    async def start(self) -> None:
        for part in PARTS:
            await self.launch(part)
        await self.login()
        image = {"name": "tiny", "disk_format": "raw", "container_format": "bare"}
        self.image = (await self.ask("POST", "image", "/image/v2/images", image))["id"]
        path = f"/image/v2/images/{self.image}/file"
        kind = {"content-type": "application/octet-stream"}
        await self.send("PUT", "image", path, content=bytes(4096), headers=kind)
        net = await self.ask("POST", "network", "/networking/v2.0/networks", {"network": {}})
        self.network = net["network"]["id"]
        subnet = {"network_id": self.network, "ip_version": 4, "cidr": "10.7.0.0/16"}
        await self.ask("POST", "network", "/networking/v2.0/subnets", {"subnet": subnet})

    async def launch(self, part: str) -> None:
        process = Process(self, part)
        await process.start()
        self.processes[part] = process

    async def login(self) -> None:
        runtime = self.processes["identity"].cloud.runtime
        domain = {"id": "default"}
        user = {
            "name": "admin",
            "domain": domain,
            "password": runtime.secrets.text("admin-password"),
        }
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": "admin", "domain": domain}}
        auth = {"auth": {"identity": identity, "scope": scope}}
        answer = await self.send("POST", "identity", "/identity/v3/auth/tokens", json=auth)
        self.token = answer.headers["x-subject-token"]

    async def send(self, method: str, part: str, path: str, **options: Any) -> httpx2.Response:
        """One request, again while the part is away or says that another one is."""
        headers = {"x-auth-token": self.token, "openstack-api-version": "compute 2.90"}
        headers.update(options.pop("headers", {}))
        while True:
            if part in self.processes:
                transport = self.processes[part].transport
                async with httpx2.AsyncClient(transport=transport, base_url=URL) as client:
                    answer = await client.request(method, path, headers=headers, **options)
                if answer.status_code < 500:
                    return answer
            await asyncio.sleep(1)

    async def ask(self, method: str, part: str, path: str, body: Any = None) -> Any:
        answer = await self.send(method, part, path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def boot(self, name: str) -> str:
        server = {
            "name": name,
            "imageRef": self.image,
            "flavorRef": "1",
            "networks": [{"uuid": self.network}],
        }
        made = await self.ask("POST", "compute", "/compute/v2.1/servers", {"server": server})
        return str(made["server"]["id"])

    async def delete(self, server_id: str) -> None:
        answer = await self.send("DELETE", "compute", f"/compute/v2.1/servers/{server_id}")
        assert answer.status_code in (204, 404), answer.text

    async def statuses(self) -> dict[str, str]:
        found = await self.ask("GET", "compute", "/compute/v2.1/servers/detail")
        return {server["id"]: server["status"] for server in found["servers"]}

    async def hurt(self) -> None:
        """One thing goes wrong, for a while."""
        match self.rng.randrange(5):
            case 0 | 1 | 2:
                part = self.rng.choice(PARTS)
                await self.processes.pop(part).kill()
                await asyncio.sleep(self.rng.choice((0, self.rng.uniform(0, 60))))
                await self.launch(part)
            case 3:
                one, other = self.rng.sample(PARTS, 2)
                self.net.cut(one, other, both=self.rng.random() < 0.5)
                await asyncio.sleep(self.rng.uniform(0, 60))
                self.net.heal()
            case 4:
                self.net.loss = 0.05
                await asyncio.sleep(self.rng.uniform(0, 60))
                self.net.loss = 0

    async def play(self) -> None:
        wanted: set[str] = set()
        gone: set[str] = set()
        for number in range(self.rng.randrange(2, 6)):
            for each in range(self.rng.randrange(1, 4)):
                wanted.add(await self.boot(f"s{number}-{each}"))
            await asyncio.sleep(self.rng.expovariate(10))
            async with asyncio.TaskGroup() as group:
                group.create_task(self.hurt())
                for server in self.rng.sample(sorted(wanted), len(wanted) // 3):
                    await asyncio.sleep(self.rng.expovariate(1))
                    await self.delete(server)
                    wanted.remove(server)
                    gone.add(server)
        await self.settle(wanted, gone)
        await self.check(wanted)

    async def settle(self, wanted: set[str], gone: set[str]) -> None:
        while True:
            now = await self.statuses()
            if not gone & now.keys() and {now[s] for s in wanted} <= {"ACTIVE", "ERROR"}:
                break
            await asyncio.sleep(5)
        await asyncio.sleep(320)  # loops that clean up have run, and the doctor calls nobody young

    async def check(self, wanted: set[str]) -> None:
        now = await self.statuses()
        assert now.keys() == wanted
        active = {server for server, status in now.items() if status == "ACTIVE"}
        path = f"/networking/v2.0/ports?network_id={self.network}"
        ports = (await self.ask("GET", "network", path))["ports"]
        devices = {p["device_id"] for p in ports if p["device_owner"].startswith("compute:")}
        assert active <= devices <= wanted
        path = "/placement/resource_providers"
        held: set[str] = set()
        for provider in (await self.ask("GET", "placement", path))["resource_providers"]:
            found = await self.ask("GET", "placement", f"{path}/{provider['uuid']}/allocations")
            held |= found["allocations"].keys()
        assert active <= held <= wanted
        compute = self.processes["compute"].cloud.runtime.bus.stub(Compute)
        assert await compute.doctor(False) == []


def play(directory: Path, seed: int) -> str:
    """One whole story; a hash of what happened when."""

    async def main() -> None:
        world = World(directory / str(seed), seed)
        await world.start()
        await world.play()
        for process in list(world.processes.values()):
            await process.kill()

    _, loop = simloop.traced(main, seed=seed)
    return loop.trace


def play_apart(directory: Path, seed: int) -> str:
    """`play` in a Python whose sets have the same order each time: a seed must replay."""
    directory.mkdir()
    run = subprocess.run(
        [sys.executable, __file__, str(directory), str(seed)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    again = f"PYTHONHASHSEED=0 PYTHONPATH=src python {Path(__file__).name} DIRECTORY {seed}"
    assert run.returncode == 0, f"{run.stderr[-6000:]}\nseed {seed}; again: {again}"
    return run.stdout


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_is_left(tmp_path: Path, seed: int) -> None:
    play_apart(tmp_path / "a", seed)


def test_a_cloud_replays_from_its_seed(tmp_path: Path) -> None:
    assert play_apart(tmp_path / "a", 3) == play_apart(tmp_path / "b", 3)


if __name__ == "__main__":
    sys.stdout.write(play(Path(sys.argv[1]), int(sys.argv[2])))
