# SPDX-License-Identifier: Apache-2.0
"""Our client with its cluster: watches, snapshots, pools, commands, limits, pauses."""

import asyncio
import errno
from pathlib import Path

import pytest

from octostack.base.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OctoError,
    Timeout,
)
from octostack.engines.ceph.rados import Cluster, Pool, load
from octostack.engines.ceph.rados.core.failures import errno_of
from octostack.engines.ceph.rados.watches import Notification
from octostack.wire.ceph.objects import PG

pytestmark = [pytest.mark.anyio, pytest.mark.compat]


async def test_a_watcher_hears_and_answers(pool: Pool, cluster: Cluster, conf: Path) -> None:
    await pool.create("watched")
    heard: list[Notification] = []

    async def hear(told: Notification) -> bytes:
        heard.append(told)
        return b"answer to " + told.payload

    watch = await pool.watch("watched", hear)
    other = await pool.watch("watched", hear)
    async with watch, other:
        assert {w.cookie for w in await pool.list_watchers("watched")} == {
            watch.cookie,
            other.cookie,
        }
        told = await pool.notify("watched", b"news")
        assert told.answers == {
            (cluster.global_id, one.cookie): b"answer to news" for one in (watch, other)
        }
        assert told.missed == []
        assert {one.notifier for one in heard} == {cluster.global_id}
    assert await pool.list_watchers("watched") == []
    assert (await pool.notify("watched", b"to nobody")).answers == {}
    with pytest.raises(NotFound):
        await pool.watch("not there", hear)
    with pytest.raises(NotFound):
        await pool.notify("not there")
    await pool.remove("watched")


async def test_a_watcher_of_a_removed_object_is_told(pool: Pool) -> None:
    await pool.create("going")

    async def hear(_: Notification) -> None:
        return

    errors: list[OctoError] = []
    async with await pool.watch("going", hear) as watch:
        watch.on_error = errors.append
        await pool.remove("going")
        await asyncio.wait_for(watch.failed.wait(), 30)
    assert [errno_of(error) for error in errors] == [errno.ENOTCONN]


async def test_who_does_not_answer_in_time_is_named(pool: Pool, cluster: Cluster) -> None:
    await pool.create("slow")
    release = asyncio.Event()

    async def hear(_: Notification) -> None:
        await release.wait()

    async with await pool.watch("slow", hear) as watch:
        told = await pool.notify("slow", timeout_s=1)
        release.set()
        assert told.missed == [(cluster.global_id, watch.cookie)]
    await pool.remove("slow")


async def test_snapshots_of_our_own(pool: Pool, cluster: Cluster) -> None:
    await pool.write_full("kept", b"first")
    first = await cluster.create_own_snap(pool)
    kept = pool.with_snaps(first, [first])
    await kept.write_full("kept", b"second")
    second = await cluster.create_own_snap(pool)
    assert second > first
    kept = pool.with_snaps(second, [second, first])
    await kept.remove("kept")
    assert await pool.at(first).read("kept") == b"first"
    assert await pool.at(second).read("kept") == b"second"
    states = await pool.list_states("kept")
    assert [(c.id, c.snaps, c.size) for c in states.clones if not c.is_head] == [
        (first, (first,), 5),
        (second, (second,), 6),
    ]
    await kept.rollback("kept", first)
    assert await pool.read("kept") == b"first"
    for snap in (first, second):
        await cluster.remove_own_snap(pool, snap)
    with pytest.raises(Invalid):
        pool.with_snaps(1, [1, 2])
    await pool.remove("kept")


async def test_snapshots_of_a_pool(cluster: Cluster) -> None:
    pool = await cluster.create_pool("with snaps")
    await pool.write_full("o", b"before")
    snap = await cluster.create_snap(pool, "s")
    with pytest.raises(Conflict):
        await cluster.create_snap(pool, "s")
    await pool.write_full("o", b"after")
    assert await pool.at(snap).read("o") == b"before"
    assert pool.has_own_snaps
    await pool.rollback("o", snap)
    assert await pool.read("o") == b"before"
    await cluster.remove_snap(pool, "s")
    with pytest.raises(NotFound):
        cluster.get_snap(pool, "s")
    await cluster.delete_pool("with snaps")


async def test_pools(cluster: Cluster) -> None:
    pool = await cluster.create_pool("short-lived")
    assert "short-lived" in cluster.list_pools()
    with pytest.raises(Conflict):
        await cluster.create_pool("short-lived")
    await pool.write_full("o", bytes(1000))
    stats = await cluster.pool_stat("short-lived")
    assert stats.keys() <= {"short-lived"}  # a real cluster's manager reports after a while
    await cluster.delete_pool("short-lived")
    assert await cluster.find_pool("short-lived") is None
    with pytest.raises(NotFound):
        await pool.read("o")
    with pytest.raises(NotFound):
        await cluster.open_pool("short-lived")
    assert (await cluster.stat()).kb >= 0


async def test_commands(cluster: Cluster, pool: Pool) -> None:
    answer = await cluster.mon_command({"prefix": "osd stat"})
    assert answer.json()["num_osds"] == 2
    with pytest.raises(OctoError) as caught:
        await cluster.mon_command({"prefix": "no such command"})
    assert errno_of(caught.value) == errno.EINVAL
    await cluster.mon_command({"prefix": "config-key set", "key": "k"}, b"value")
    assert (await cluster.mon_command({"prefix": "config-key get", "key": "k"})).output == b"value"


async def test_central_configuration_reaches_us(cluster: Cluster) -> None:
    word = {"who": "client", "name": "rados_mon_op_timeout", "value": "77"}
    await cluster.mon_command({"prefix": "config set", **word})
    try:
        async with asyncio.timeout(30):
            while cluster.settings.central.get("rados_mon_op_timeout") is None:
                await cluster.monitors.newest("osdmap")
        assert cluster.settings.seconds("rados_mon_op_timeout") == 77
    finally:
        rm = {"prefix": "config rm", "who": "client", "name": "rados_mon_op_timeout"}
        await cluster.mon_command(rm)


@pytest.mark.parametrize("limit", ["objecter_inflight_ops", "objecter_inflight_op_bytes"])
async def test_order_holds_however_few_may_be_on_their_way(
    conf: Path, pool: Pool, limit: str
) -> None:
    async with Cluster(load(conf, told={limit: "4"}, environment={})) as narrow:
        view = await narrow.open_pool(pool.name)
        await asyncio.gather(*(view.append("ordered", b"%03d" % n) for n in range(200)))
        assert await view.read("ordered") == b"".join(b"%03d" % n for n in range(200))
        assert narrow.objecter.tracker.in_flight == 0
        assert narrow.objecter.tracker.cost == 0
        await view.remove("ordered")


async def test_cancelled_operations_leave_nothing(conf: Path, pool: Pool) -> None:
    told = {"objecter_inflight_ops": "2"}
    async with Cluster(load(conf, told=told, environment={})) as narrow:
        view = await narrow.open_pool(pool.name)
        tasks = [asyncio.ensure_future(view.append("cut", b"x")) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(one) for one in found[::2]} == {asyncio.CancelledError}
        assert all(isinstance(one, int) for one in found[1::2])
        assert narrow.objecter.tracker.in_flight == 0
        await asyncio.gather(*(view.append("cut", b"x") for _ in range(20)))
        assert 30 <= (await view.stat("cut")).size <= 40
        await view.remove("cut")


async def test_writes_wait_while_the_map_says_pause(pool: Pool, cluster: Cluster) -> None:
    await pool.write_full("paused", b"before")
    await cluster.mon_command({"prefix": "osd set", "key": "pause"})
    await cluster.wait_for_latest_osdmap()
    write = asyncio.ensure_future(pool.write_full("paused", b"after"))
    read = asyncio.ensure_future(pool.read("paused"))
    assert (await cluster.mon_command({"prefix": "osd stat"})).output
    assert not write.done()
    assert not read.done()
    await cluster.mon_command({"prefix": "osd unset", "key": "pause"})
    assert await write > 0
    assert await read in (b"before", b"after")
    await pool.remove("paused")


async def test_a_client_on_the_blocklist_is_shut_out(conf: Path, pool: Pool) -> None:
    settings = load(conf, environment={})
    async with Cluster(settings) as fenced:
        theirs = await fenced.open_pool("objects")
        await theirs.write_full("fenced", b"x")
        await pool.cluster.blocklist_add(fenced.address, 60)
        await fenced.wait_for_latest_osdmap()
        with pytest.raises(Forbidden) as caught:
            await theirs.write_full("fenced", b"y")
        assert errno_of(caught.value) == errno.ESHUTDOWN
    assert await pool.read("fenced") == b"x"


async def test_time_is_up_where_one_is_set(conf: Path, pool: Pool) -> None:
    settings = load(conf, environment={}, told={"rados_osd_op_timeout": "0.2"})
    async with Cluster(settings) as hasty:
        theirs = await hasty.open_pool("objects")
        await pool.cluster.mon_command({"prefix": "osd set", "key": "pause"})
        await hasty.wait_for_latest_osdmap()
        try:
            with pytest.raises(Timeout):
                await theirs.write_full("late", b"x")
            assert hasty.objecter.tracker.in_flight == 0
        finally:
            await pool.cluster.mon_command({"prefix": "osd unset", "key": "pause"})


@pytest.mark.parametrize("mode", ["crc", "secure"])
async def test_both_modes_of_the_wire(conf: Path, pool: Pool, mode: str) -> None:
    told = {"ms_client_mode": mode, "ms_mon_client_mode": mode}
    async with Cluster(load(conf, environment={}, told=told)) as cluster:
        view = await cluster.open_pool("objects")
        await view.write_full("mode", mode.encode() * 50_000)
        assert await pool.read("mode") == mode.encode() * 50_000


async def test_copies_within_the_cluster(pool: Pool) -> None:
    body = bytes(range(256)) * 80_000  # three pieces
    omap = {f"key{n:04}": b"v" * n for n in range(600)}
    await pool.write_full("original", body)
    await pool.set_xattr("original", "x", b"1")
    await pool.set_omap("original", omap)
    await pool.set_omap_header("original", b"head")
    names = ["copy", *(f"copy{n}" for n in range(8))]  # in groups on both OSDs
    for copy in (pool.located_by("original"), pool, pool.within("elsewhere")):
        await asyncio.gather(*(copy.copy(name, "original", of=pool) for name in names))
        for name in names:
            assert await copy.read(name) == body
            assert await copy.list_xattrs(name) == {"x": b"1"}
            assert [k async for k, _ in copy.walk_omap(name)] == list(omap)
            assert await copy.get_omap_header(name) == b"head"
            await copy.remove(name)
    await pool.remove("original")


async def test_a_copy_is_of_the_version_and_the_snapshot_that_was_asked_for(pool: Pool) -> None:
    old = await pool.write_full("source", b"old")
    new = await pool.write_full("source", b"new")
    assert await pool.copy("aim", "source", version=new) > 0
    with pytest.raises(Conflict) as refused:
        await pool.copy("aim", "source", version=old)
    assert refused.value.details["errno"] == errno.ERANGE
    with pytest.raises(NotFound):
        await pool.copy("aim", "nothing")
    with pytest.raises(Invalid):
        await pool.copy("source", "source")
    assert await pool.read("aim") == b"new"
    await pool.remove("source")
    await pool.remove("aim")


# Two real OSDs wait for ever: each keeps its object from being read while it is copied to.
@pytest.mark.parametrize("kind", ["ours"])
async def test_copies_that_cross_do_not_wait_for_one_another(pool: Pool) -> None:
    await pool.write_full("source", b"one")
    await pool.write_full("aim", b"two")
    await asyncio.gather(pool.copy("source", "aim"), pool.copy("aim", "source"))
    await pool.remove("source")
    await pool.remove("aim")


async def test_commands_to_daemons(pool: Pool, cluster: Cluster) -> None:
    assert "version" in (await cluster.osd_command(0, {"prefix": "version"})).json()
    async with asyncio.timeout(60):  # the group may be new, or have moved just now
        state = ""
        while "active" not in state:
            answer = await cluster.pg_command(PG(pool.id, 0), {"prefix": "query"})
            state = answer.json()["state"]
    answer = await cluster.mgr_command({"prefix": "pg stat"})
    assert "num_pgs" in answer.output.decode()
