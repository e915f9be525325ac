# SPDX-License-Identifier: Apache-2.0
"""Durable files: a crash between any two system calls leaves the old or the new, never less."""

import asyncio
import random
from pathlib import Path

import pytest

from octostack.base.errors import Corrupt, NotFound
from octostack.runtime.disk import Disk, Files, OsFiles, pack_record, unpack_log
from octostack.testing import simloop
from octostack.testing.simdisk import Crash, SimFiles

HERE = Path("/state")


def crash_everywhere(seed: int) -> None:
    """Write and append until the n-th call is a crash, for every n, and look at what is left."""
    rng = random.Random(seed)
    for crash_at in range(60):
        files = SimFiles(rng, crash_at)
        sent, acknowledged, written = simloop.run(lambda: live(files), seed=seed)  # noqa: B023
        files.crash()
        records, contents = simloop.run(lambda: look(files), seed=seed)  # noqa: B023
        assert records[: len(acknowledged)] == acknowledged
        assert records == sent[: len(records)]
        assert contents in written[-2:]


async def live(files: Files) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """What was sent to the log, what of it was acknowledged, what the file held last."""
    sent: list[bytes] = []
    acknowledged: list[bytes] = []
    written = [b""]
    disk = Disk(files)
    try:
        log = await disk.open_log(HERE / "log")
        for number in range(12):
            record = b"record %d" % number * (number + 1)
            sent.append(record)
            await log.append(record)
            acknowledged.append(record)
            if number % 3 == 0:
                written.append(record)
                await disk.write(HERE / "file", record)
    except Crash:
        return sent, acknowledged, written
    return sent, acknowledged, written[-1:]


async def look(files: Files) -> tuple[list[bytes], bytes]:
    disk = Disk(files)
    log = await disk.open_log(HERE / "log")
    try:
        contents = await disk.read(HERE / "file")
    except NotFound:
        contents = b""
    again = await disk.open_log(HERE / "log")
    assert again.records == log.records
    await log.append(b"goes on")
    assert (await disk.open_log(HERE / "log")).records == [*log.records, b"goes on"]
    return log.records, contents


def test_a_crash_at_any_call_loses_nothing_that_was_acknowledged() -> None:
    simloop.replay(
        crash_everywhere, range(30), "crash_everywhere({seed}) in tests/sim/test_disk.py"
    )


class CarelessDisk(Disk):
    """Forgets one sync."""

    def _replace(self, path: Path, data: bytes, mode: int) -> None:
        if path in (HERE / name for name in self.files.names(HERE)):
            self.files.truncate(path, 0)
            self.files.append(path, data)
        else:
            self.files.create(path, data, mode)
        self.files.sync_directory(path.parent)


def test_the_simulated_disk_finds_a_writer_that_forgets_to_sync() -> None:
    async def main(seed: int) -> bytes:
        files = SimFiles(random.Random(seed))
        await CarelessDisk(files).write(HERE / "file", b"a" * 100)
        files.crash()
        return await Disk(files).read(HERE / "file")

    left = {simloop.run(lambda: main(seed), seed=seed) for seed in range(20)}  # noqa: B023
    assert left != {b"a" * 100}


@pytest.fixture(params=["real", "simulated"])
def files(request: pytest.FixtureRequest) -> Files:
    return OsFiles() if request.param == "real" else SimFiles(random.Random(1))


@pytest.mark.anyio
async def test_files_are_replaced_listed_and_removed(files: Files, tmp_path: Path) -> None:
    disk, path = Disk(files), tmp_path / "sub" / "name"
    with pytest.raises(NotFound):
        await disk.read(path)
    await disk.write(path, b"one")
    await disk.write(path, b"two")
    assert await disk.read(path) == b"two"
    assert await disk.names(path.parent) == ["name"]
    await disk.remove(path)
    await disk.remove(path)
    assert await disk.names(path.parent) == []
    assert await disk.names(tmp_path / "nowhere") == []


@pytest.mark.anyio
async def test_appends_at_once_share_a_sync_and_keep_their_order(
    files: Files, tmp_path: Path
) -> None:
    log = await Disk(files).open_log(tmp_path / "log")
    await asyncio.gather(*(log.append(b"%d" % n) for n in range(100)))
    assert (await Disk(files).open_log(tmp_path / "log")).records == [b"%d" % n for n in range(100)]
    await log.rewrite([b"all"])
    await log.append(b"more")
    assert (await Disk(files).open_log(tmp_path / "log")).records == [b"all", b"more"]


def test_damage_before_the_end_is_told() -> None:
    whole = b"".join(pack_record(b"record %d" % n) for n in range(3))
    assert unpack_log(whole) == ([b"record 0", b"record 1", b"record 2"], len(whole))
    for cut in range(len(whole)):
        records, good = unpack_log(whole[:cut])
        assert len(records) == cut // 16
        assert good == 16 * len(records)
    damaged = bytearray(whole)
    damaged[12] ^= 1
    with pytest.raises(Corrupt):
        unpack_log(bytes(damaged))
