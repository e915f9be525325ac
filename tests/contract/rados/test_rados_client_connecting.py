# SPDX-License-Identifier: Apache-2.0
"""Being let in by a cluster, or not: keys, names, monitors that are not there."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from octostack.base.errors import Forbidden, Invalid, Timeout, Unauthorized
from octostack.engines.ceph.rados import Cluster, Pool, load
from octostack.engines.ceph.rados.core.config import Settings
from octostack.engines.ceph.rados.core.failures import errno_of
from octostack.wire.ceph.cephx import keyring

pytestmark = [pytest.mark.anyio, pytest.mark.compat]
WRONG = "AQBvaBhlAAAAABAAdGVzdHRlc3R0ZXN0dGVzdA=="


async def test_a_wrong_key_is_refused_at_once(conf: Path) -> None:
    with pytest.raises(Unauthorized):
        async with Cluster(load(conf, told={"key": WRONG}, environment={})):
            raise AssertionError("let in")
    with pytest.raises(Unauthorized):
        async with Cluster(load(conf, entity="client.nobody", told={"key": WRONG}, environment={})):
            raise AssertionError("let in")
    told = {"auth_client_required": "cephx", "keyring": "/none"}
    with pytest.raises(Unauthorized):
        Cluster(load(conf, told=told, environment={}))


async def test_a_client_that_may_little_is_told_so(cluster: Cluster, pool: Pool) -> None:
    await pool.write_full("seen", b"x")
    may = ["mon", "allow r", "osd", "allow r pool=objects"]
    settings = await _settings_of(cluster, "client.reader", may)
    async with Cluster(settings) as reader:
        theirs = await reader.open_pool("objects")
        assert await theirs.read("seen") == b"x"
        with pytest.raises(Forbidden) as caught:
            await theirs.write_full("seen", b"y")
        assert errno_of(caught.value) == 1
        with pytest.raises(Forbidden):
            await reader.mon_command({"prefix": "osd pool create", "pool": "theirs"})
    await pool.remove("seen")


async def test_a_manager_does_nothing_that_is_for_monitors(cluster: Cluster) -> None:
    may = ["mon", "allow r", "mgr", "allow *"]
    async with Cluster(await _settings_of(cluster, "client.manager", may)) as theirs:
        await theirs.mgr_command({"prefix": "pg stat"})
        with pytest.raises(Invalid, match="No handler found for 'osd pool create'"):
            await theirs.mgr_command({"prefix": "osd pool create", "pool": "theirs"})
    pools = await cluster.mon_command({"prefix": "osd pool ls"})
    assert "theirs" not in pools.json()


async def _settings_of(cluster: Cluster, entity: str, may: list[str]) -> Settings:
    words = {"prefix": "auth get-or-create", "entity": entity, "caps": may, "format": "plain"}
    made = await cluster.mon_command(words)
    told = {
        "key": str(keyring.parse(made.output.decode())[entity].key),
        "mon_host": cluster.settings.text("mon_host"),
    }
    return load(None, entity=entity, told=told, environment={"CEPH_CONF": ""})


async def test_monitors_that_are_not_there_are_passed_over(conf: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)  # takes connections and says nothing
        port = silent.getsockname()[1]
        settings = load(conf, environment={})
        dead = f"127.0.0.1:{_free_port()},127.0.0.1:{port}"
        settings.told = {
            "mon_host": f"{dead},{settings.text('mon_host')}",
            "mon_client_hunt_interval": "0.5",
        }
        async with asyncio.timeout(60), Cluster(settings) as cluster:
            assert cluster.epoch > 0
        settings.told |= {"mon_host": dead, "client_mount_timeout": "0.5"}
        with pytest.raises(Timeout):
            async with Cluster(settings):
                raise AssertionError("connected to nobody")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def test_where_names_are_enough(kind: str, make_home: Any) -> None:
    async with make_home(kind, "none") as home:
        settings = load(home.conf, told={"keyring": "/none"}, environment={})
        async with Cluster(settings) as cluster:
            await cluster.mon_command(
                {"prefix": "osd pool create", "pool": "p", "pg_num": 1, "pgp_num": 1}
            )
            pool = await cluster.open_pool("p")
            await pool.write_full("o", b"without a key")
            assert await pool.read("o") == b"without a key"
