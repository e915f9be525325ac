# SPDX-License-Identifier: Apache-2.0
"""Every route of every API, asked by every default role, by strangers, and by nobody.

What is expected stands in ``expected/<api>.txt``, to be read; a route without its line fails.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from octostack.base import ids
from octostack.runtime.http import ANY, PUBLIC
from octostack.runtime.policy import Policy
from octostack.testing.world import PERSONAS, PREFIXES, Case, World, cases, opened

pytestmark = pytest.mark.anyio

EXPECTED = Path(__file__).parent / "expected"
APIS = ("identity", "image", "placement", "compute", "network")
COLUMNS = (*PERSONAS, "notoken")
# The weakest first: what may be done can often be done once only.
ORDER = tuple(reversed(COLUMNS))
HEADER = """\
# {api}: what each persona is answered. Written by `pytest --rewrite`, read before committed.
# ok is any 2xx or 3xx. Things belong to the project (and its member); `other` manages a project
# of another domain, `system` reads the whole system, `domadm` and `domain` manage and read the
# project's domain, `norole` holds a role on the project that no rule knows.
#
# {columns}
"""

# Who may is answered, but never with success; why.
_ACTION = "POST /servers/{server_id}/action"
NEVER: dict[str, str] = {
    "POST /v3/users/{user_id}/password": "asks for the password itself, and is told a wrong one",
    "DELETE /v2/stores/{store_id}/{image_id}": "the only copy of an image is not deleted so",
    "GET /os-console-auth-tokens/{token}": "a simulated machine has no console to have a token of",
    "DELETE /os-services/{service_id}": "the host has servers",
    f"{_ACTION} os-getVNCConsole": "a simulated machine has no screen",
    f"{_ACTION} os-getSerialConsole": "a simulated machine has no serial line",
    "POST /servers/{server_id}/remote-consoles": "a simulated machine has no screen",
    f"{_ACTION} removeFloatingIp": "the server has none",
    f"{_ACTION} addFloatingIp": "the server has no port",
    f"{_ACTION} restore": "servers are deleted at once",
    **{f"{_ACTION} {name}": "not offered yet" for name in (
        "resize", "confirmResize", "revertResize", "migrate", "os-migrateLive",
        "evacuate", "shelve", "unshelve")},
    **{f"GET /os-hosts/{{host}}/{name} to 2.42": "hosts are not switched from here"
       for name in ("reboot", "shutdown", "startup")},
}  # fmt: skip


@pytest.fixture(scope="module")
async def the_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with opened(tmp_path_factory.mktemp("cloud")) as world:
        yield world


@pytest.fixture
async def world(the_world: World) -> World:
    """The world, in which nothing that another test used is known."""
    await the_world.renew()
    return the_world


def _of(world: World, name: str) -> list[Case]:
    return [case for api in world.apis if api.prefix == PREFIXES[name] for case in cases(api)]


async def _row(world: World, case: Case) -> dict[str, int]:
    return {persona: (await world.send(case, persona)).status_code for persona in ORDER}


def _never(row: dict[str, int]) -> bool:
    """Nobody is served; what is gone (410) is so for everybody."""
    return min(row.values()) >= 400 and 410 not in row.values()


def _line(name: str, row: dict[str, int]) -> str:
    cells = (f"{row[p] if row[p] >= 400 else 'ok':<{len(p)}}" for p in COLUMNS)
    return f"{'  '.join(cells)}  {name}"


@pytest.mark.parametrize("name", APIS)
async def test_who_may(world: World, name: str, request: pytest.FixtureRequest) -> None:
    rows = {case.name: await _row(world, case) for case in _of(world, name)}
    head = HEADER.format(api=name, columns="  ".join(COLUMNS))
    text = head + "".join(f"  {_line(case_name, row)}\n" for case_name, row in rows.items())
    file = EXPECTED / f"{name}.txt"
    if request.config.getoption("--rewrite"):
        file.write_text(text)
    assert text.splitlines() == file.read_text().splitlines()
    assert not [case_name for case_name, row in rows.items() if max(row.values()) == 500]
    never = {case_name for case_name, row in rows.items() if _never(row)}
    assert never == {case_name for case_name in NEVER if case_name in rows}


@pytest.mark.parametrize("name", APIS)
async def test_a_stranger_does_not_learn_what_exists(world: World, name: str) -> None:
    """What one may not see is refused alike, whether it is there or not."""
    told: list[tuple[str, int, int]] = []
    seen: list[str] = []
    for case in sorted(_of(world, name), key=lambda case: case.method != "GET"):
        if "{" not in case.url or case.route.path.startswith(tuple(seen)):
            continue
        there = (await world.send(case, "other")).status_code
        if there < 400:
            seen.append(case.route.path)
            continue
        url = await _of_nothing(world, case)
        missing = (await world.send(case, "other", url=url)).status_code
        if there != missing:
            told.append((case.name, there, missing))
    assert told == []


async def _of_nothing(world: World, case: Case) -> str:
    """The case's URL, with ids that nothing has."""
    url = case.url
    for kind in ("project", "home", "user"):
        url = url.replace(f"{{{kind}}}", ids.new_hex())
    for name in set(world.names_in(url)) - {"store"}:
        url = url.replace(f"{{{name}}}", ids.new())
    return str(await world.filled(url))


async def test_every_route_is_one_of_these(world: World) -> None:
    """What is served elsewhere is public, or the same routes under an older prefix."""
    told = {route.path for api in world.apis if api.name in APIS for route in api.routes}
    others = [api for api in world.apis if api.prefix not in PREFIXES.values()]
    for api in others:
        for route in api.routes:
            assert route.rule == PUBLIC or route.path in told, (api.prefix, route.path)


async def test_rules_and_routes_tell_the_same_story(world: World) -> None:
    for api in world.apis:
        for route in api.routes:
            if route.rule not in (PUBLIC, ANY):
                assert isinstance(api.policy, Policy)
                operations = api.policy.rules[route.rule].operations
                told = api.name != "identity" or (route.method, route.path) in operations
                assert told, (route.path, operations)
