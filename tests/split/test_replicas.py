# SPDX-License-Identifier: Apache-2.0
"""Two processes of Compute on PostgreSQL: each order is carried out once, by one or the other."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from octostack.runtime.db import open_database
from octostack.services.compute.store.cell_db import tables
from octostack.testing import postgres
from octostack.testing.split import SplitCloud
from octostack.testing.split_user import WAIT_S, User

pytestmark = pytest.mark.timeout(600)
SERVERS = 6
COMPUTE = "/compute/v2.1"


class Replicas:
    """The cloud, its user, and the rows behind."""

    def __init__(self, cloud: SplitCloud, database_url: str) -> None:
        self.cloud = cloud
        self.database_url = database_url
        self.user = User(cloud)
        self.user.prepare()

    def rows(self, stmt: Any) -> list[Any]:
        async def read() -> list[Any]:
            db = await open_database(self.database_url, "compute_cell1", sa.MetaData())
            async with db.read() as tx:
                found = list(await tx.all(stmt))
            await db.close()
            return found

        return asyncio.run(read())

    def sagas(self, servers: list[str]) -> list[Any]:
        t = tables.sagas
        return self.rows(sa.select(t).where(t.c.subject.in_(servers)))

    def boot(self, count: int = SERVERS) -> list[str]:
        return [self.user.boot(f"s{n}") for n in range(count)]

    def until(self, servers: list[str], status: str) -> None:
        wait(lambda: Counter(self.user.servers().get(s) for s in servers) == {status: len(servers)})

    def delete(self, servers: list[str]) -> None:
        for server in servers:
            self.user.ask("DELETE", "compute", f"{COMPUTE}/servers/{server}")
        wait(lambda: not self.user.servers().keys() & set(servers))
        assert not any(self.user.leftovers().values())


def wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    directory = tmp_path_factory.mktemp("replicas")
    with postgres.Server() as server:
        url = server.create_database()
        with SplitCloud(directory, simulate=2, database_url=url, twice=("compute",)) as cloud:
            yield Replicas(cloud, url)


def test_each_boots_some_and_none_twice(both: Replicas) -> None:
    servers = both.boot()
    both.until(servers, "ACTIVE")
    sagas = both.sagas(servers)
    assert {saga.fence for saga in sagas} == {1}  # nobody took one from the other
    assert len({saga.owner for saga in sagas}) == 2
    assert both.user.leftovers() == {"ports": set(servers), "allocations": set(servers)}
    both.delete(servers)


def test_an_order_is_carried_out_once(both: Replicas) -> None:
    servers = both.boot(4)
    both.until(servers, "ACTIVE")
    for order, status in (("os-stop", "SHUTOFF"), ("os-start", "ACTIVE")):
        for server in servers:
            both.user.ask(
                "POST", "compute", f"{COMPUTE}/servers/{server}/action", json={order: None}
            )
        both.until(servers, status)
    for server in servers:
        found = both.user.get("compute", f"{COMPUTE}/servers/{server}/os-instance-actions")
        actions = Counter(action["action"] for action in found["instanceActions"])
        assert actions == {"create": 1, "stop": 1, "start": 1}
        for action in found["instanceActions"]:
            path = f"{COMPUTE}/servers/{server}/os-instance-actions/{action['request_id']}"
            assert len(both.user.get("compute", path)["instanceAction"]["events"]) == 1
    assert both.rows(sa.select(tables.leases)) == []
    both.delete(servers)


def test_what_a_dead_one_had_begun_the_other_ends(both: Replicas) -> None:
    victim = "compute-2"
    servers = both.boot()
    both.cloud.processes.pop(victim).kill()
    servers.append(both.user.boot("late"))
    both.until(servers, "ACTIVE")
    assert both.user.leftovers() == {"ports": set(servers), "allocations": set(servers)}
    both.cloud.start(victim).ready()
    servers += both.boot(3)
    both.until(servers, "ACTIVE")
    both.delete(servers)
