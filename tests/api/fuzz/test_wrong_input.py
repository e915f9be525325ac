# SPDX-License-Identifier: Apache-2.0
"""Every route of every API, given right requests made wrong in one place.

Whatever comes: no 5xx, an error in that API's own form, the field that was wrong named, nothing
written by a request that was refused. Each request is drawn from its route's name and a number,
so that ``FUZZ_ROUNDS=200 pytest -k NAME`` tries more and a failure is the same every time.
"""

import asyncio
import html
import json
import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from octostack.testing.rows import Rows
from octostack.testing.rows import opened as opened_rows
from octostack.testing.world import PREFIXES, Case, World, cases, opened

pytestmark = pytest.mark.anyio

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "1"))
APIS = tuple(PREFIXES)
WORDS = [
    "", " ", "x", "0", "-1", "a" * 70_000, "\x00", "a\x00b", "\u202egnp.exe", "\u0638\u0639",
    "\U0001f4a9", "\ufeff", "../../etc/passwd", "..\\..\\x", "/etc/passwd", "' OR 1=1 --", "%s%n",
    "{uuid}", "{{7*7}}", "<script>", "true", "null", "1e9", "9" * 30, "2026-13-45T99:99:99Z",
    "10.0.0.0/33", "::1%eth0", "fe80::/200", "file:///etc/passwd", "http://[::1", "http://x:99999/",
    "\x7f", "\r\nX-Evil: 1", "CUSTOM_" + "A" * 300, "latest", "*",
]  # fmt: skip
NUMBERS: list[Any] = [0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 1.5, -0.0, 1e308, True, False]
SHAPES: list[Any] = [None, [], {}, [[]], [None], {"": ""}, {"a": {"b": {"c": []}}}, [1, "a", {}]]
DEEP = "[" * 3000 + "]" * 3000
RAW = [
    b"", b"{", b"nul", b"NaN", b"[1,", b"\xff\xfe{}", b'{"a":"\\ud800"}', b'{"a":"\xed\xa0\x80"}',
    DEEP.encode(), b'{"a":' * 3000, b'{"a":1,"a":2}', b"1e999", b'"text"', b"[]", b"{}", b"null",
    b"<xml/>", b"\x1f\x8b\x08\x00", b"\x00", b"a=b&c=d", b" " * (2 << 20),
]  # fmt: skip
PATHS = ["%00", "%ff", "..%2f..%2fetc%2fpasswd", "%2e%2e", "%ED%A0%80", "a" * 3000, "%E2%80%AEx",
         "%7Bid%7D",
         "0", "-1", "9" * 40, "%20", "a%00b", "x;y=z", "%25", "*", "%0d%0aX:1"]  # fmt: skip
NAMES = ["limit", "marker", "sort_key", "sort_dir", "sort", "name", "status", "fields", "id",
         "tags", "changes-since", "changes-before", "all_tenants", "project_id", "member_of",
         "resources",
         "required", "in_tree", "root_required", "group_policy", "enabled", "domain_id", "scope",
         "size_min", "created_at", "visibility", "owner", "os_hidden", "ip", "not-tags",
         "page_reverse", "start", "end", "detailed", "user.id", "role.id", "group.id", "type",
         "resources1", "required_X", "limit1", "same_subtree", "user_id", "offset", "reserved",
         "usage", "host", "fixed_ips", "effective", "parent_id"]  # fmt: skip
HEADERS = {
    "openstack-api-version": ["", "x", "compute", "compute 2", "compute 2.1.1", "placement 9.9",
                              "compute 2." + "9" * 50, "compute \u00b2.\u00b9", ",,,", "a" * 4000],
    "x-openstack-nova-api-version": ["", "x", "2.999", "\u00b2.1"],
    "x-subject-token": ["", "x", "a" * 5000, "gAAAAA" + "A" * 200, "\u00ff\u00fe"],
    "content-type": ["", "text/plain", "application/xml", "application/json; charset=utf-7", "x",
                     "multipart/form-data", "application/octet-stream"],
    "accept": ["", "text/html", "application/xml", "*/*;q=x", "a" * 4000],
    "range": ["bytes=-", "bytes=9-1", "bytes=99999999999999999999-", "x", "bytes=0-0,1-1"],
    "content-range": ["x", "bytes 0-1/1", "bytes */-1"],
    "if-match": ["x"], "host": ["", "a b", "x/../y", "[::1"], "x-forwarded-for": ["\u00ff"],
    "x-openstack-request-id": ["x", "req-" + "0" * 400], "cookie": ["\u00ff" * 50],
    "x-image-meta-store": ["nowhere", "../.."], "x-openstack-image-size": ["x", "-1", "9" * 40],
    "x-service-token": ["x"], "content-encoding": ["gzip"],
}  # fmt: skip
# Refused, and yet they write: what a request that was refused leaves behind on purpose.
WRITES_WHEN_REFUSED = ("POST /v3/auth/tokens", "POST /v3/users/{user_id}/password")
# What a request that was granted may leave to be done.
ON_ITS_WAY = (
    ("compute_cell1", "SELECT * FROM sagas WHERE status IN ('doing', 'undoing')"),
    ("network", "SELECT * FROM changes"),
    ("image", "SELECT * FROM images WHERE status IN ('saving', 'importing')"),
)
# Rows that change by themselves: heartbeats, and what loops note.
MOVING = ("agents", "services", "hosts", "sagas", "leases", "loops", "compute_hosts", "saga",
          "tasks")  # fmt: skip
TRIES = 20_000


@pytest.fixture(scope="module")
async def the_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with opened(tmp_path_factory.mktemp("cloud")) as world:
        yield world


@pytest.fixture
async def world(the_world: World) -> World:
    await the_world.renew()
    return the_world


@pytest.fixture
async def rows(world: World) -> AsyncIterator[Rows]:
    async with opened_rows(world.cloud.runtime.database_url) as rows:
        yield rows


def _of(world: World, name: str) -> list[Case]:
    return [case for api in world.apis if api.prefix == PREFIXES[name] for case in cases(api)]


def _persona(name: str, case: Case) -> str:
    """Who may, by the table that the other suite proves."""
    file = Path(__file__).parents[1] / "access" / "expected" / f"{name}.txt"
    head, *lines = [line for line in file.read_text().splitlines() if "  " in line]
    columns = head.strip("# ").split()
    cells = next(line.split() for line in lines if line.endswith(f" {case.name}"))
    may = [column for column, cell in zip(columns, cells, strict=False) if cell != "403"]
    return next((p for p in ("member", "admin", "service") if p in may), "admin")


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to everything in a body, itself last."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()  # fmt: skip
    for key, part in items:
        yield from _leaves(part, (*path, key))
    yield path


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


def _known(case: Case) -> list[str]:
    """Names of properties that the route's schema knows, at any depth."""
    found: list[str] = []

    def look(part: Any) -> None:
        if isinstance(part, dict):
            found.extend(part.get("properties", ()))
            for inner in part.values():
                look(inner)
        elif isinstance(part, list):
            for inner in part:
                look(inner)

    look(case.schema.definition if case.schema else {})
    return found


def _odd(rng: random.Random) -> Any:
    return rng.choice([rng.choice(WORDS), rng.choice(NUMBERS), rng.choice(SHAPES)])


def _mutant(case: Case, body: Any, rng: random.Random) -> tuple[Any, tuple[Any, ...]]:
    """The body with one thing wrong, and where."""
    paths = list(_leaves(body))
    path = rng.choice(paths)
    inner = body
    for key in path:
        inner = inner[key]
    how = rng.random()
    if isinstance(inner, dict) and how < 0.6:
        name = rng.choice([*_known(case), "surprise", "\x00", "a" * 300, ""])
        return _replaced(body, path, inner | {name: _odd(rng)}), (*path, name)
    if isinstance(inner, dict) and inner and how < 0.8:
        name = rng.choice(sorted(inner))
        return _replaced(body, path, {k: v for k, v in inner.items() if k != name}), (*path, name)
    return _replaced(body, path, _odd(rng)), path


def _check(case: Case, answer: httpx2.Response, what: Any) -> None:
    told = (case.name, answer.status_code, what, answer.text[:600])
    assert answer.status_code < 500 or answer.status_code == 501, told
    if answer.status_code < 400 or case.method == "HEAD":
        return
    form = {"identity": _identity, "placement": _placement, "compute": _compute,
            "network": _network, "image": _image}[case.api.name]  # fmt: skip
    assert form(answer), told


def _identity(answer: httpx2.Response) -> bool:
    error = answer.json()["error"]
    return error["code"] == answer.status_code and bool(error["message"] and error["title"])


def _placement(answer: httpx2.Response) -> bool:
    return bool(answer.json()["errors"][0]["status"] == answer.status_code)


def _compute(answer: httpx2.Response) -> bool:
    body = answer.json()
    if "errors" in body:  # a version that is not served
        return answer.status_code == 406
    ((_, fault),) = body.items()
    return bool(fault["code"] == answer.status_code and fault["message"])


def _network(answer: httpx2.Response) -> bool:
    return set(answer.json()["NeutronError"]) == {"type", "message", "detail"}


def _image(answer: httpx2.Response) -> bool:
    return answer.text.startswith("<html>") and str(answer.status_code) in answer.text


async def _settled(rows: Rows) -> None:
    """Until nothing is on its way any more that an earlier request began."""
    for _ in range(TRIES):
        if not any([await rows.ask(name, question) for name, question in ON_ITS_WAY]):
            return
        await asyncio.sleep(0)
    raise AssertionError("something stays on its way")


def _named(answer: httpx2.Response, body: Any, path: tuple[Any, ...]) -> bool:
    """Is what was wrong in the answer: the place itself, one above it, or one within?"""
    names = [str(key) for key in path]
    for key in path[:-1]:
        body = body[key]
    if path and isinstance(path[-1], str) and isinstance(body, dict):
        within = body.get(path[-1])
        names += [*within] if isinstance(within, dict) else []
        names += [str(within)[:40]]  # many real messages say the value
        names += [body["path"]] if "op" in body else []  # a JSON patch says the field itself
    text = _plain(answer.text)
    stems = [_plain(name).removesuffix("s") for name in names]
    return not names or "exactlyoneaction" in text or any(stem in text for stem in stems)


def _plain(text: str) -> str:
    """Lower case without punctuation, since some messages are prose."""
    return "".join(c for c in html.unescape(text).lower() if c.isalnum())


@pytest.mark.parametrize("name", APIS)
async def test_bodies(world: World, rows: Rows, name: str) -> None:
    wrong = []
    for case in _of(world, name):
        if not isinstance(case.body, dict | list):
            continue
        for number in range(ROUNDS * 3):
            rng = random.Random(f"{case.name} {number}")
            request = await world.request(case)
            body, path = _mutant(case, request["json"], rng)
            await _settled(rows)
            before = await rows.digests(MOVING)
            answer = await world.sent(case, _persona(name, case), request | {"json": body})
            shown = (str(path), json.dumps(body)[:300])
            try:
                _check(case, answer, shown)
                if answer.status_code == 400:
                    told = (case.name, shown, answer.text[:400])
                    assert not body or _named(answer, body, path), ("not named", told)
                if answer.status_code >= 400 and case.name not in WRITES_WHEN_REFUSED:
                    after = await rows.digests(MOVING)
                    assert after == before, ("written", case.name, shown, answer.text[:300])
            except (AssertionError, ValueError, KeyError) as e:
                wrong.append(f"{number}: {e}")
            if answer.status_code < 400:
                await world.sent(case, _persona(name, case), request)  # as it was
                world.drop(f"{case.url} {case.body}")
    assert not wrong, "\n\n".join(wrong[:40]) + f"\n{len(wrong)}"


@pytest.mark.parametrize("name", APIS)
async def test_bytes_headers_queries_paths(world: World, name: str) -> None:
    wrong = []
    for case in _of(world, name):
        for number in range(ROUNDS):
            rng = random.Random(f"{case.name} other {number}")
            request = await world.request(case)
            for changed in await _changes(world, case, request, rng):
                answer = await world.sent(case, _persona(name, case), changed)
                try:
                    _check(case, answer, str(changed)[:300])
                except (AssertionError, ValueError, KeyError) as e:
                    wrong.append(f"{number}: {case.name} {e!r} {str(changed)[:200]}")
                if answer.status_code < 400:
                    world.drop(f"{case.url} {case.body}")
    assert not wrong, "\n\n".join(wrong[:40]) + f"\n{len(wrong)}"


async def _changes(
    world: World, case: Case, request: dict[str, Any], rng: random.Random
) -> list[dict[str, Any]]:
    """Ways to make the request itself wrong."""
    url, headers = request["url"], request["headers"]
    header = rng.choice(sorted(HEADERS))
    value = rng.choice(HEADERS[header])
    pairs = [(rng.choice(NAMES), rng.choice(WORDS)[:2000]) for _ in range(rng.randint(1, 4))]
    query = "&".join(f"{n}={quote(v, errors='replace')}" for n, v in pairs)
    query = rng.choice([query, query + "&limit=%ff", "&&&=&=", "a" * 5000, "limit=%", "x&" * 1200])
    changes: list[dict[str, Any]] = [
        request | {"url": f"{url}{'&' if '?' in url else '?'}{query}"},
        request | {"headers": headers | {header: value.encode("latin-1", "replace")}},
    ]
    if case.method not in ("GET", "HEAD"):
        kind = {"content-type": "application/json"} | headers
        raw = {key: request[key] for key in ("method", "url")}
        changes.append(raw | {"content": rng.choice(RAW), "headers": kind})
    if "{" in case.url:
        odd = case.url
        for holder in set(world.names_in(odd)):
            odd = odd.replace(f"{{{holder}}}", rng.choice(PATHS))
        changes.append(request | {"url": await world.filled(odd)})
    return changes
