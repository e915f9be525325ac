# SPDX-License-Identifier: Apache-2.0
"""Every part in a process of its own, over a real broker, behind one port; each is killed while
servers boot.

Whatever is killed when: every server that was asked for becomes ACTIVE or ERROR, every one that
was deleted goes, and nothing that belonged to one stays in another part.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from octostack.apps import asking
from octostack.apps.state import StateDir
from octostack.testing.split import PARTS, SERVICES, SplitCloud
from octostack.testing.split_user import WAIT_S, User

pytestmark = pytest.mark.timeout(900)
UPLOAD_MIB = int(os.environ.get("SPLIT_UPLOAD_MIB", "96"))


def wait_until(what: str, holds: Callable[[], bool], cloud: SplitCloud) -> None:
    until = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > until:
            logs = "\n".join(f"== {p}\n{cloud.processes[p].tail()}" for p in cloud.processes)
            raise AssertionError(f"not in {WAIT_S:g} s: {what}\n{logs}")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitCloud]:
    with SplitCloud(tmp_path_factory.mktemp("split"), simulate=3) as running:
        yield running


@pytest.fixture(scope="module")
def user(cloud: SplitCloud) -> User:
    user = User(cloud)
    user.prepare()
    return user


def check_whole(user: User, wanted: set[str], gone: set[str]) -> None:
    """Every wanted server is at an end and whole; nothing of those gone is left anywhere."""
    ends = {"ACTIVE", "ERROR"}

    def at_rest() -> bool:
        now = user.servers()
        return not gone & now.keys() and all(now.get(server) in ends for server in wanted)

    wait_until(f"{len(wanted)} at rest and {len(gone)} gone", at_rest, user.cloud)
    active = {server for server, status in user.servers().items() if status == "ACTIVE"}

    def nothing_left() -> bool:
        return all(
            active <= held and not held - user.servers().keys()
            for held in user.leftovers().values()
        )

    wait_until("ports and claims are those of the servers", nothing_left, user.cloud)
    wait_until("rows and hosts agree", lambda: not findings(user.cloud), user.cloud)


def findings(cloud: SplitCloud) -> Any:
    """What the doctor finds: machines nobody asked for, servers without one, and more."""
    return asyncio.run(asking.ask(StateDir(cloud.state_dir), "GET", "/doctor"))


def test_a_server_boots_and_goes(user: User) -> None:
    server = user.boot("first")
    wait_until("ACTIVE", lambda: user.servers()[server] == "ACTIVE", user.cloud)
    assert user.leftovers() == {"ports": {server}, "allocations": {server}}
    assert user.ask("DELETE", "compute", f"/compute/v2.1/servers/{server}").status_code == 204
    wait_until("gone", lambda: server not in user.servers(), user.cloud)
    wait_until("empty", lambda: not any(user.leftovers().values()), user.cloud)


def test_the_catalog_names_the_front_only(user: User) -> None:
    catalog = user.get("identity", "/identity/v3/auth/catalog")["catalog"]
    urls = {endpoint["url"] for service in catalog for endpoint in service["endpoints"]}
    assert len(urls) >= len(SERVICES)
    assert {url for url in urls if not url.startswith(user.cloud.front + "/")} == set()
    clouds = (user.cloud.state_dir / "clouds.yaml").read_text()
    assert f'"{user.cloud.front}/identity/v3"' in clouds


def test_a_part_that_is_away_is_told_of_in_its_own_form(user: User) -> None:
    cloud = user.cloud
    cloud.processes.pop("network").kill()
    answer = httpx2.get(f"{cloud.front}/networking/v2.0/networks", timeout=30)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["NeutronError"]["message"] == "The network service cannot be reached."
    cloud.start("network").ready()
    assert user.get("network", "/networking/v2.0/networks")["networks"]


def test_an_upload_of_any_size_needs_no_memory_on_its_way(user: User) -> None:
    before = user.cloud.processes["front"].rss_peak_bytes()
    image = {"name": "big", "disk_format": "raw", "container_format": "bare"}
    path = f"/image/v2/images/{user.post('image', '/image/v2/images', image)['id']}"
    headers = {"content-type": "application/octet-stream"}
    pieces = (bytes(1 << 20) for _ in range(UPLOAD_MIB))
    answer = user.ask("PUT", "image", f"{path}/file", content=pieces, headers=headers)
    assert answer.status_code == 204, answer.text
    assert user.get("image", path)["size"] == UPLOAD_MIB << 20
    assert user.cloud.processes["front"].rss_peak_bytes() - before < (UPLOAD_MIB << 20) / 2
    assert user.ask("DELETE", "image", path).status_code == 204


@pytest.mark.parametrize("part", [*PARTS, "broker"])
def test_a_part_is_killed_while_servers_come_and_go(user: User, part: str) -> None:
    rng = random.Random(part)
    old = [user.boot(f"old-{part}-{n}") for n in range(3)]
    check_whole(user, set(old), set())
    wanted = [user.boot(f"new-{part}-{n}") for n in range(3)]
    time.sleep(rng.uniform(0, 0.5))  # at some moment of their boots
    if part == "broker":
        user.cloud.broker.kill()
        user.cloud.broker.start()
    else:
        user.cloud.restart(part)
    for server in old:
        answer = user.ask("DELETE", "compute", f"/compute/v2.1/servers/{server}")
        assert answer.status_code in (204, 404)
    wanted.append(user.boot(f"late-{part}"))
    check_whole(user, set(wanted), set(old))
    statuses = user.servers()
    assert statuses[wanted[-1]] == "ACTIVE", "what was asked for after the kill must work"
    for server in wanted:
        user.ask("DELETE", "compute", f"/compute/v2.1/servers/{server}")
    check_whole(user, set(), set(wanted))
