# SPDX-License-Identifier: Apache-2.0
"""A host with a compute agent and no cloud around it: who it talks to, small and real."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from octostack.base import ids
from octostack.base.errors import NotFound, Unsupported
from octostack.contracts import compute, network_agent
from octostack.contracts.api import ApiCall
from octostack.contracts.compute_agent import ConfigFile, ImageRef, MachineSpec
from octostack.contracts.identity import Caller
from octostack.contracts.image import ImageInfo, ImageLocation, Images, SnapshotSpec
from octostack.runtime.bus import Bus
from octostack.runtime.service import Runtime
from octostack.runtime.tasks import Supervisor


class FileImages(Images):
    """Images that are files; `local` False makes agents fetch them by chunks."""

    def __init__(self, directory: Path, *, local: bool = True) -> None:
        self._directory = directory
        self._local = local
        self._files: dict[str, tuple[Path, str]] = {}
        self.reads = 0
        self.committed: dict[str, Path] = {}

    async def ask(self, caller: Caller, call: ApiCall) -> bytes:
        raise NotFound("These images have no API", code="route")

    def add(self, path: Path, disk_format: str) -> ImageRef:
        """Offer a file as an image."""
        digest = hashlib.sha512(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        image = ImageRef(id=ids.new(), sha512=digest, size_bytes=size, disk_format=disk_format)
        self.offer(image, path)
        return image

    def offer(self, image: ImageRef, path: Path) -> None:
        """Offer a file under an id that was given before."""
        self._files[image.id] = (path, image.disk_format)

    async def locate(self, image_id: str) -> ImageLocation:
        if image_id not in self._files:
            raise NotFound(f"image {image_id}", code="image.not_found")
        path, disk_format = self._files[image_id]
        return ImageLocation(
            image_id=image_id,
            disk_format=disk_format,
            size_bytes=path.stat().st_size,
            virtual_size_bytes=0,
            sha512="",
            path=str(path) if self._local else None,
        )

    async def read(self, image_id: str, offset: int, length: int) -> bytes:
        self.reads += 1
        with self._files[image_id][0].open("rb") as f:
            f.seek(offset)
            return f.read(length)

    async def write(self, image_id: str, offset: int, data: bytes) -> int:
        path = self._directory / image_id
        with path.open("r+b" if path.exists() else "wb") as f:
            f.seek(offset)
            f.write(data)
            return f.tell()

    async def commit(self, image_id: str, size_bytes: int, sha512: str) -> ImageInfo:
        path = self._directory / image_id
        assert hashlib.sha512(path.read_bytes()).hexdigest() == sha512
        self.committed[image_id] = path
        return _info(image_id, size_bytes, sha512)

    async def get(self, caller: Caller, image_id: str) -> ImageInfo:
        raise Unsupported("not asked by agents")

    async def create_snapshot(self, caller: Caller, spec: SnapshotSpec) -> str:
        raise Unsupported("not asked by agents")

    async def import_file(self, image_id: str, path: str) -> ImageInfo:
        raise Unsupported("not asked by agents")

    async def discard(self, image_id: str) -> None:
        raise Unsupported("not asked by agents")


class Listener(compute.Compute):
    """Takes hosts' reports and keeps the last about each machine."""

    def __init__(self) -> None:
        self.hosts: dict[str, compute.HostFacts] = {}
        self.machines: dict[str, compute.MachineReport] = {}
        self.heard: list[compute.MachineReport] = []
        self._news = asyncio.Condition()

    async def until(self, machine_id: str, power: str, timeout_s: float = 10.0) -> None:
        """Wait until a host has told this of the machine."""

        def told() -> bool:
            report = self.machines.get(machine_id)
            return report is not None and report.power == power

        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(told)

    def forget(self) -> None:
        """Only what is told from now on counts."""
        self.machines.clear()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def register(self, facts: compute.HostFacts) -> compute.HostOrders:
        self.hosts[facts.host] = facts
        return compute.HostOrders(heartbeat_s=1.0)

    async def heartbeat(
        self, host: str, machines: list[compute.MachineReport]
    ) -> compute.HostOrders:
        self.machines |= {m.server_id: m for m in machines}
        await self._tell()
        return compute.HostOrders(heartbeat_s=1.0)

    async def observed(self, host: str, machine: compute.MachineReport) -> None:
        self.machines[machine.server_id] = machine
        self.heard.append(machine)
        await self._tell()

    async def external_events(self, events: list[compute.ExternalEvent]) -> None:
        raise Unsupported("not asked by agents")

    async def metadata(self, request: compute.MetadataRequest) -> compute.MetadataAnswer:
        raise Unsupported("not asked by agents")

    async def console_connect(self, token: str) -> compute.ConsoleTarget:
        raise Unsupported("not asked by agents")

    async def doctor(self, repair: bool) -> list[compute.Finding]:
        raise Unsupported("not asked by agents")


class Taps(network_agent.NetworkAgent):
    """Ports whose devices somebody else has made."""

    def __init__(self) -> None:
        self.interfaces: dict[str, str] = {}

    async def ensure_port(self, port_id: str, timeout_s: float = 10.0) -> network_agent.AgentPort:
        if port_id not in self.interfaces:
            raise NotFound(f"port {port_id}")
        return network_agent.AgentPort(id=port_id, interface=self.interfaces[port_id], up=False)

    async def apply(self, intent: network_agent.HostIntent) -> network_agent.AppliedState:
        raise Unsupported("not asked by a compute agent")

    async def change(self, change: network_agent.IntentChange) -> network_agent.AppliedState:
        raise Unsupported("not asked by a compute agent")

    async def status(self) -> network_agent.AgentStatus:
        raise Unsupported("not asked by a compute agent")

    async def list_ports(self) -> list[network_agent.AgentPort]:
        raise Unsupported("not asked by a compute agent")

    async def examine(self, repair: bool = False) -> list[compute.Finding]:
        raise Unsupported("not asked by a compute agent")

    async def trace(self, request: network_agent.TraceRequest) -> network_agent.TraceResult:
        raise Unsupported("not asked by a compute agent")


@asynccontextmanager
async def runtime(state_dir: Path) -> AsyncIterator[Runtime]:
    """A process's world with nothing in it yet."""
    tasks = Supervisor("host")
    made = Runtime(
        state_dir=state_dir,
        bus=Bus(tasks),
        tasks=tasks,
        public_url="http://host.test",
        database_url=f"sqlite:{state_dir / 'db'}",
    )
    await made.bus.start()
    try:
        yield made
    finally:
        await made.close()


def config_drive(machine_id: str, user_data: str = "", **more: str) -> tuple[ConfigFile, ...]:
    """A config drive with as much as the test guest reads."""
    pairs = {"uuid": machine_id, "hostname": "guest-one.example.org", **more}
    body = ",".join(f'"{key}": "{value}"' for key, value in pairs.items())
    meta = f'{{"public_keys": {{"mine": "ssh-ed25519 AAAA test"}}, {body}}}'
    files = [ConfigFile("openstack/latest/meta_data.json", meta.encode())]
    if user_data:
        files.append(ConfigFile("openstack/latest/user_data", user_data.encode()))
    return tuple(files)


def spec(image: ImageRef, **changes: object) -> MachineSpec:
    """A small machine from an image."""
    values: dict[str, object] = {
        "id": ids.new(), "name": "one", "generation": 1, "vcpus": 1, "memory_mb": 192,
        "image": image, "root_gb": 1,
    }  # fmt: skip
    return MachineSpec(**(values | changes))  # type: ignore[arg-type]


def _info(image_id: str, size_bytes: int, sha512: str) -> ImageInfo:
    return ImageInfo(
        id=image_id, name=None, status="active", owner=None, visibility="private",
        disk_format="qcow2", container_format="bare", size_bytes=size_bytes,
        virtual_size_bytes=None, min_disk=0, min_ram=0, protected=False, hidden=False,
        checksum=None, sha512=sha512, created_at=0.0, updated_at=0.0,
    )  # fmt: skip
