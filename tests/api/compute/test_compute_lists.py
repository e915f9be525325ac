# SPDX-License-Identifier: Apache-2.0
"""Long lists of servers: filters in the database, and pages that lose and repeat nothing."""

from typing import Any

import pytest

from octostack.services.compute.model import Flavor, Nic, Server
from octostack.services.compute.store.cell_db import servers
from octostack.testing.cloud import TestCloud

pytestmark = pytest.mark.anyio
MANY = 1200


def _server(i: int) -> Server:
    nic = Nic(
        port_id=f"port{i}", network_id="n", network_name="net", mac="fa:16:3e:00:00:01",
        fixed_ips=((f"10.0.{i // 256}.{i % 256}", "s4"), (f"fd00::{i:x}", "s6")),
    )  # fmt: skip
    return Server(
        id=f"00000000-0000-4000-8000-{i:012}",
        project_id="p1" if i % 4 else "p2",
        user_id="u1",
        name=f"{'Web' if i % 2 else 'db'}-{i}",
        flavor=Flavor(id="1", name="f", vcpus=1, memory_mb=1, root_gb=1),
        vm_state="active",
        task_state=None,
        nics=() if i % 3 else (nic,),
        metadata={"rank": str(i % 10)},
        created_at=1_700_000_000.0 + i // 7,  # some share their moment
    )


@pytest.fixture
async def many(cloud: TestCloud) -> None:
    [compute] = [s for s in cloud.cloud.services if s.name == "compute"]
    async with compute.apis[0].app.cell_db.write() as tx:
        await servers.insert(tx, [_server(i) for i in range(MANY)])


async def _walk(api: Any, query: str) -> list[str]:
    """The names of all pages; each but the last is full."""
    names: list[str] = []
    path = f"/servers?{query}"
    while True:
        page = await api("GET", path, status=200)
        names += [s["name"] for s in page["servers"]]
        if "servers_links" not in page:
            return names
        path = "/servers?" + page["servers_links"][0]["href"].partition("?")[2]


@pytest.mark.usefixtures("many")
async def test_pages(admin: Any, member: Any) -> None:
    mine = [f"{'Web' if i % 2 else 'db'}-{i}" for i in range(MANY) if i % 4]
    for query, wanted in (
        ("limit=100", mine),
        ("limit=70&name=web", [n for n in mine if n.startswith("Web")]),
        ("limit=7&name=^web-1.$", [f"Web-{i}" for i in (11, 13, 15, 17, 19)]),
        ("limit=13&name=.*b-11[0-9]*$", [n for n in mine if "b-11" in n]),
        ("limit=50&ip=10.0.1.", [n for n in mine if _holds(n, 256, 511)]),
        ("limit=5&ip=^10.0.0.9$", ["Web-9"]),
        ("limit=5&ip6=fd00::3&name=Web-3", ["Web-3"]),
        ("limit=90&metadata={'rank': '3'}", [n for n in mine if n.endswith("3")]),
        ("limit=90&metadata={'rank': '3', 'none': '1'}", []),
        ("limit=9&name=no_such", []),
    ):
        for order in ("", "&sort_key=display_name&sort_dir=asc", "&sort_key=key_name"):
            assert sorted(await _walk(member, query + order)) == sorted(wanted), query + order
    for odd in (
        r"\d",
        r"[\w-]%2B$",
        "^$",
        "a|b",
        "[]a]",
        "(a)(b)?",
        r"\.",
        "a{1,3}",
        "x{",
        "^*",
        "é$",
    ):
        answer = await member.raw("GET", f"/servers?limit=1&name={odd}")
        assert answer.status_code == 200, (odd, answer.text)  # on every database
    everyone = await _walk(admin, "all_tenants=1&name=web")
    assert len(everyone) == len(set(everyone)) == MANY / 2
    assert len((await member("GET", "/servers", status=200))["servers"]) == 900
    for wrong in ("name=(a%2B)%2B$", "metadata={'a\"b': 'c'}", "metadata={'a': '\\u0000'}"):
        await member("GET", f"/servers?{wrong}", status=400)


def _holds(name: str, first: int, last: int) -> bool:
    number = int(name.split("-")[1])
    return first <= number <= last and number % 3 == 0
