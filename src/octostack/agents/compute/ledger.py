# SPDX-License-Identifier: Apache-2.0
"""What this host owes: a file per machine, on the disk before anything is done about it."""

import asyncio
import os
from pathlib import Path

import msgspec

from octostack.base import ids, log
from octostack.base.errors import NotFound
from octostack.contracts.compute_agent import ImageRef, MachineSpec, Power

_log = log.get("compute_agent")


class Reboot(msgspec.Struct, frozen=True):
    """A restart that was ordered and is not done yet."""

    request_id: str
    hard: bool


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as the ledger has it. `settled` is the last generation done or given up."""

    spec: MachineSpec
    settled: int = 0
    fault: str | None = None
    reboot: Reboot | None = None
    rebooted: str = ""  # the last restart that was done, or given up
    removing: bool = False
    power: Power = "building"  # as last reported
    changed_at: float = 0.0

    @property
    def images(self) -> list[ImageRef]:
        """Images that the machine needs in the host's cache."""
        boot = self.spec.boot
        refs = [self.spec.image, self.spec.rescue]
        refs += [boot.kernel, boot.ramdisk] if boot else []
        return [ref for ref in refs if ref is not None]


class Host(msgspec.Struct, frozen=True):
    """What stays with the host for ever."""

    provider_id: str


class Ledger:
    """Entries in memory with their files behind them.

    `durable` False leaves out the fsync, for hosts whose machines are in memory as well.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self._directory = directory
        self._durable = durable
        self._entries: dict[str, Entry] = {}
        self._writing = asyncio.Lock()
        self.host = Host(provider_id="")

    def load(self) -> None:
        """Read all of it. A file that cannot be read is put aside, and told of."""
        machines = self._directory / "machines"
        machines.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(machines.glob("*.json")):
            try:
                entry = msgspec.json.decode(path.read_bytes(), type=Entry)
            except msgspec.DecodeError as e:
                _log.error("ledger entry unreadable", file=path.name, reason=str(e))
                path.replace(path.with_suffix(".corrupt"))
                continue
            self._entries[entry.spec.id] = entry
        host = self._directory / "host.json"
        if host.exists():
            self.host = msgspec.json.decode(host.read_bytes(), type=Host)
        else:
            self.host = Host(provider_id=ids.new())
            self._write(host, msgspec.json.encode(self.host))

    def get(self, machine_id: str) -> Entry:
        """The entry. Raises NotFound."""
        entry = self._entries.get(machine_id)
        if entry is None:
            raise NotFound(f"machine {machine_id} is not on this host", code="machine.not_found")
        return entry

    def find(self, machine_id: str) -> Entry | None:
        """The entry, if there is one."""
        return self._entries.get(machine_id)

    def list(self) -> list[Entry]:
        """Every entry."""
        return list(self._entries.values())

    async def put(self, entry: Entry) -> None:
        """Keep an entry; it is on the disk when this returns."""
        machine_id = entry.spec.id
        self._entries[machine_id] = entry
        if not self._durable:
            self._write(self._path(machine_id), msgspec.json.encode(entry))
            return
        async with self._writing:
            latest = self._entries.get(machine_id)
            if latest is not None:
                data = msgspec.json.encode(latest)
                await asyncio.to_thread(self._write, self._path(machine_id), data)

    async def change(self, machine_id: str, **values: object) -> Entry:
        """Change fields of the entry as it is now. Raises NotFound."""
        entry = msgspec.structs.replace(self.get(machine_id), **values)
        await self.put(entry)
        return entry

    async def drop(self, machine_id: str) -> None:
        """Forget a machine; the last thing that is done about it."""
        self._entries.pop(machine_id, None)
        async with self._writing:
            self._path(machine_id).unlink(missing_ok=True)

    def _path(self, machine_id: str) -> Path:
        return self._directory / "machines" / f"{machine_id}.json"

    def _write(self, path: Path, data: bytes) -> None:
        temporary = path.with_suffix(".new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
            if self._durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(path)
        if self._durable:
            _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
