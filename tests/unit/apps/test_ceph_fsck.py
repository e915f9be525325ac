# SPDX-License-Identifier: Apache-2.0
"""`octostack ceph fsck` and `repair` by the command itself, on stores that were damaged."""

import asyncio
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from octostack.apps import cli
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block import layout
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.runtime.device import FileDevice
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG

C = ShardPG(PG(1, 0))
DATA = random.Random(1).randbytes(100_000)


def name(number: int) -> HObject:
    return HObject(b"thing %d" % number, hash=number, snap=SNAP_HEAD, pool=1)


def damage(place: Path, how: Callable[[BlockStore], None]) -> None:
    """Open the store and do something to it."""

    async def main() -> None:
        place.mkdir(exist_ok=True)
        store = BlockStore(FileDevice(place / "block", 16 << 20))
        await store.open()
        how(store)
        await store.close()

    asyncio.run(main())


def fill(store: BlockStore) -> None:
    store.queue([[api.CreateCollection(C, 0)]])
    store.queue([[api.Write(C, name(n), 0, DATA)] for n in range(3)])


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    def command(*words: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["octostack", "ceph", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out + said.err

    return command


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    for number in range(2):
        damage(tmp_path / f"osd.{number}", fill)
    return tmp_path


def test_all_is_well(stores: Path, run: Callable[..., tuple[int, str]]) -> None:
    code, said = run("fsck", stores)
    assert code == 0
    lines = said.splitlines()
    assert [line.split(":")[0] for line in lines] == ["osd.0", "osd.1"]
    assert all("nothing is wrong, 3 objects, 0.3 of 16 MiB used" in line for line in lines)
    assert run("fsck", stores, "osd.1")[1].startswith("osd.1")


def test_counts_and_leaks_are_mended(stores: Path, run: Callable[..., tuple[int, str]]) -> None:
    def break_it(store: BlockStore) -> None:
        store.set_usage(C, api.Usage(9, 9, 9))
        store.state.blocks.allocator.take(7)

    damage(stores / "osd.1", break_it)
    code, said = run("fsck", stores / "osd.1")
    assert code == 1
    assert "7 blocks are nobody's" in said
    assert "counts 9 objects with 9 bytes, has 3 objects with 300000 bytes" in said
    code, said = run("repair", stores)
    assert (code, said.count("; mended")) == (0, 2)
    assert run("fsck", stores)[0] == 0


def test_a_damaged_body_is_told_by_its_object(
    stores: Path, run: Callable[..., tuple[int, str]]
) -> None:
    block = stores / "osd.0" / "block"
    data = bytearray(block.read_bytes())
    at = data.index(DATA[8192:8292], layout.SUPERBLOCKS * BLOCK + layout.journal_size(16 << 20))
    data[at] ^= 1
    block.write_bytes(data)
    code, said = run("repair", stores)
    assert code == 1
    assert "thing" in said
    assert "is damaged at byte 8192" in said


def test_a_store_that_cannot_be_opened(stores: Path, run: Callable[..., tuple[int, str]]) -> None:
    with (stores / "osd.0" / "block").open("r+b") as file:
        file.write(b"\xff" * 2 * BLOCK)
    code, said = run("fsck", stores)
    assert code == 1
    assert "osd.0: 1 flaw\n  store cannot be opened: No superblock is whole." in said
    assert "osd.1: nothing is wrong" in said


def test_not_while_it_runs_nor_where_nothing_is(
    stores: Path, tmp_path: Path, run: Callable[..., tuple[int, str]]
) -> None:
    held = FileDevice(stores / "osd.0" / "block")
    code, said = run("fsck", stores)
    assert (code, "is in use" in said) == (1, True)
    held.close()
    empty = tmp_path / "empty"
    empty.mkdir()
    code, said = run("fsck", empty)
    assert (code, "holds no store" in said) == (1, True)
