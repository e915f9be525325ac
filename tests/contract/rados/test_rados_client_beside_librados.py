# SPDX-License-Identifier: Apache-2.0
"""What our client writes python3-rados reads, and the other way round; they notify each other."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from octostack.base.errors import Conflict
from octostack.engines.ceph.rados import Cluster, Pool, locks
from octostack.engines.ceph.rados.watches import Notification

pytestmark = [pytest.mark.anyio, pytest.mark.compat]
SCRIPT = Path(__file__).parent / "librados_script.py"
PYTHON = "/usr/bin/python3"
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "CEPH"))}


def has_librados() -> bool:
    found = subprocess.run([PYTHON, "-c", "import rados"], capture_output=True, check=False)
    return found.returncode == 0


if not Path(PYTHON).exists() or not has_librados():
    pytest.skip("python3-rados is not installed: `make setup` as root", allow_module_level=True)


async def librados(conf: Path, *words: str) -> str:
    """Its output."""
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, str(SCRIPT), str(conf), *words),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_we_read_what_librados_writes(pool: Pool, cluster: Cluster, conf: Path) -> None:
    snap = json.loads(await librados(conf, "write"))["snap"]
    assert await pool.read("both") == b"after the snapshot"
    assert await pool.at(snap).read("both") == b"by librados"
    assert await pool.list_omap("both")
    assert (await pool.list_omap("both")).values == {"k1": b"1", "k2": b"2"}
    assert (await pool.list_xattrs("both"))["colour"] == b"red"
    placed = pool.within("space").located_by("key")
    assert await placed.read("placed") == b"elsewhere"
    listed = {(o.name, o.locator) async for o in pool.within("space").list_objects()}
    assert ("placed", "key") in listed
    names = {o.name async for o in pool.list_objects()}
    theirs = {f"theirs{n}" for n in range(100)}
    assert theirs <= names
    bodies = await asyncio.gather(*(pool.read(f"theirs{n}") for n in range(100)))
    assert bodies == [b"%d" % n for n in range(100)]
    (holder,) = (await locks.get_info(pool, "both", "lock")).lockers
    assert (holder.cookie, holder.description) == ("cookie", "held by librados")
    with pytest.raises(Conflict):
        await locks.lock(pool, "both", locks.Wanted("lock", "ours"))
    await locks.break_lock(pool, "both", "lock", holder.client, holder.cookie)
    await asyncio.gather(*(pool.remove(name) for name in theirs))
    await placed.remove("placed")
    await pool.remove("both")
    await cluster.remove_own_snap(pool, snap)


async def test_librados_reads_what_we_write(pool: Pool, cluster: Cluster, conf: Path) -> None:
    await pool.write_full("both", b"by us, before")
    snap = await cluster.create_own_snap(pool)
    await pool.with_snaps(snap, [snap]).write_full("both", b"by us")
    await pool.set_xattr("both", "shape", b"round")
    await pool.set_omap("both", {"a": b"1", "b": bytes(range(256))})
    placed = pool.within("space").located_by("other key")
    await placed.write_full("placed by us", b"here")
    await asyncio.gather(*(pool.write_full(f"ours{n}", b"x") for n in range(100)))
    await locks.lock(pool, "both", locks.Wanted("lock", "ours"))
    assert await librados(conf, "check", str(snap)) == "done\n"
    await locks.unlock(pool, "both", "lock", "ours")
    await asyncio.gather(*(pool.remove(f"ours{n}") for n in range(100)))
    await placed.remove("placed by us")
    await pool.remove("both")
    await cluster.remove_own_snap(pool, snap)


async def test_librados_hears_our_notify_and_we_hear_theirs(pool: Pool, conf: Path) -> None:
    await pool.create("both", exclusive=False)
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, str(SCRIPT), str(conf), "watch"),
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"watching\n"
    told = await pool.notify("both", b"from us")
    assert (len(told.answers), told.missed) == (1, [])
    rest, _ = await asyncio.wait_for(process.communicate(b"\n"), 30)
    assert (process.returncode, rest) == (0, b"from us\n")
    heard: list[bytes] = []

    async def hear(one: Notification) -> None:
        heard.append(one.payload)

    async with await pool.watch("both", hear):
        assert await librados(conf, "notify") == "told\n"
    assert len(heard) == 1
    assert b"from librados" in heard[0]
    await pool.remove("both")
