# SPDX-License-Identifier: Apache-2.0
"""Nothing secret gets out: a word that must not be seen goes into every route, rightly and wrongly.

Each request is sent as it should be and in several wrong forms, with canaries for passwords,
tokens, blobs, keys and user data. What the cloud itself hands out (tokens, console addresses, an
application credential's secret, private keys) counts too, and so do the installation's own
secrets. Then all that it logged at the most talkative level, every refusal, the metrics, the
errors that crossed the bus and the rows at rest are searched.
"""

import base64
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import msgspec
import pytest

from octostack.base import log
from octostack.runtime import metrics
from octostack.runtime.bus import InProcess
from octostack.testing.rows import opened as opened_rows
from octostack.testing.world import PREFIXES, Case, World, cases, opened
from octostack.testing.world.world import PASSWORD
from octostack.wire import bus as wire

pytestmark = pytest.mark.anyio

APIS = tuple(PREFIXES)
CANARY = "canary-Xq7"
MISPLACED = "canary-Zz9"  # under a secret's name, where no secret belongs
DATA = base64.b64encode(f"#!{CANARY} user data".encode()).decode()
# Whatever stands under these keys is secret, in a request and in an answer.
KEYS = ("password", "original_password", "adminPass", "secret", "blob", "user_data", "private_key")
# Secrets that a right body may hold beside what the world's tables put there.
ADDED: dict[str, Any] = {
    "POST /servers": {"server": {"adminPass": CANARY, "user_data": DATA}},
    "POST /servers/{server_id}/action rebuild": {"rebuild": {"adminPass": CANARY}},
    "POST /servers/{server_id}/action rescue": {"rescue": {"adminPass": CANARY}},
    "POST /v3/users": {"user": {"password": CANARY}},
    "PATCH /v3/users/{user_id}": {"user": {"password": CANARY}},
    "POST /v3/users/{user_id}/application_credentials": {
        "application_credential": {"secret": CANARY}
    },
}
METHODS: dict[str, Any] = {
    "password": {"user": {"name": "nobody", "domain": {"id": "default"}, "password": CANARY}},
    "token": {"id": CANARY},
    "totp": {"user": {"id": "nobody", "passcode": CANARY}},
    "application_credential": {"id": "nothing", "secret": CANARY},
    CANARY: {},
}
# Where a secret rests as it is, and why.
AT_REST = {
    "compute_cell1.servers": "user data is shown to its owner; a password waits to be handed over",
    "identity.policies": "a policy's blob is text that anybody with the role reads, no secret",
}


class Overheard(InProcess):
    """Calls within the process, every failure noted."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[str] = []

    async def call(self, subject: str, request: bytes, timeout_s: float) -> bytes:
        answer = await super().call(subject, request, timeout_s)
        failure = wire.decode_answer(answer).failure
        if failure is not None:
            self.failures.append(msgspec.json.encode(failure).decode())
        return answer


class Watch:
    """All that one cloud said where a secret must not be, and the secrets."""

    def __init__(self, world: World, bus: Overheard, lines: io.StringIO) -> None:
        self.world, self.bus, self.lines = world, bus, lines
        self.refusals: list[str] = []
        self.served: set[str] = set()
        self.secrets = {CANARY, MISPLACED, DATA, PASSWORD}
        self.secrets |= {
            c.headers["x-auth-token"] for n, c in world.clients.items() if n != "notoken"
        }
        for file in (world.cloud.runtime.state_dir / "secrets").rglob("*"):
            if file.is_file():
                raw = file.read_bytes()
                self.secrets |= {base64.b64encode(raw).decode(), raw.hex()}
                self.secrets |= {raw.decode()} if raw.isascii() else set()

    def hear(self, what: str, answer: httpx2.Response) -> None:
        """Keep a refusal; learn the secrets that a success gave away rightly."""
        if answer.status_code >= 400:
            told = f"{answer.text} {dict(answer.headers)}"
            self.refusals.append(f"{what} {answer.status_code} {told}")
            return
        self.served.add(what.partition(" by ")[0])
        if token := answer.headers.get("x-subject-token"):
            self.secrets.add(token)
        if "json" in answer.headers.get("content-type", "") and answer.content:
            self.secrets |= set(_secrets_of(answer.json()))

    def found_in(self, texts: list[str]) -> list[str]:
        """The texts that hold a secret, from a little before it."""
        return [
            text[:150] + " ... " + text[max(0, text.index(s) - 150) :][:250]
            for text in texts
            for s in self.secrets
            if s in text
        ]


def _secrets_of(value: Any) -> Iterator[str]:
    """What stands under a secret's key, at any depth; a console's address holds a token."""
    if isinstance(value, list):
        for part in value:
            yield from _secrets_of(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, str) and key in KEYS and len(part) > 5:
                yield part
            elif isinstance(part, str) and key == "url" and "token" in part:
                yield part.rpartition("=")[2]
            else:
                yield from _secrets_of(part)


@pytest.fixture(scope="module")
async def watch(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watch]:
    lines, bus = io.StringIO(), Overheard()
    log.configure(stream=lines, level="debug")
    libraries = logging.StreamHandler(lines)  # what they say goes where our lines go
    logging.getLogger().addHandler(libraries)
    try:
        async with opened(tmp_path_factory.mktemp("cloud"), bus) as world:
            yield Watch(world, bus, lines)
    finally:
        logging.getLogger().removeHandler(libraries)
        log.configure(level="warning")


def _merged(value: Any, more: Any) -> Any:
    if isinstance(value, dict) and isinstance(more, dict):
        return value | {k: _merged(value.get(k), v) for k, v in more.items()}
    return more


def _planted(value: Any) -> Any:
    """The body with a canary for each secret, the personas' own password left as it is."""
    if isinstance(value, list):
        return [_planted(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        k: CANARY if k in KEYS and isinstance(v, str) and v not in (PASSWORD, DATA) else _planted(v)
        for k, v in value.items()
    }


def _with_each_secret(value: Any, turn: Any) -> Any:
    """The body with ``turn(secret)`` in the place of each secret."""
    if isinstance(value, list):
        return [_with_each_secret(part, turn) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        k: turn(v) if k in KEYS and isinstance(v, str) else _with_each_secret(v, turn)
        for k, v in value.items()
    }


def _wrong_bodies(case: Case, body: Any) -> Iterator[Any]:
    """The body, wrong in several ways; bytes are sent as they are."""
    if not isinstance(body, dict):
        body = {"password": MISPLACED}
    yield [body, {"secret": MISPLACED}]
    yield json.dumps({"secret": MISPLACED, **body}).encode()[:-1]
    for name, part in body.items():
        yield {**body, name: [part, {"adminPass": MISPLACED}]}
        if isinstance(part, dict):
            yield {**body, name: part | {"surprise": 5, "password": MISPLACED}}
    if list(_secrets_of(body)):
        yield from _wrong_secrets(case, body)


def _wrong_secrets(case: Case, body: dict[str, Any]) -> Iterator[Any]:
    """A body with a secret in it, wrong there and around it."""
    for turn in (lambda s: [s], lambda s: {"x": s}, lambda s: s * 600, lambda s: f"\x00{s}"):
        yield _with_each_secret(body, turn)
    for name, part in body.items():
        if isinstance(part, dict):
            odd = {k: {"odd": 5} if not isinstance(v, dict) else [v] for k, v in part.items()}
            secrets = {k: v for k, v in part.items() if k in KEYS}
            yield {**body, name: odd | secrets}
            yield {**body, name: secrets | {"password": MISPLACED}}
    yield {**body, "password": {"x": MISPLACED}}
    if case.name == "POST /v3/auth/tokens":
        for method, how in METHODS.items():
            yield {"auth": {"identity": {"methods": [method], method: how}}}
            yield {"auth": {"identity": {"methods": [method], method: [how]}}}


async def _send(watch: Watch, case: Case, request: dict[str, Any]) -> None:
    """As its owner, and as the administrator where the owner may not."""
    for persona in ("member", "admin"):
        answer = await watch.world.sent(case, persona, request)
        watch.hear(f"{case.name} by {persona}:", answer)
        if answer.status_code < 400:
            watch.world.drop(f"{case.url} {case.body}")
        if answer.status_code not in (403, 404):
            return


async def _right(world: World, case: Case) -> dict[str, Any]:
    """The right request, canaries in the place of its secrets."""
    if "agents" in case.url:
        await world.renew()  # no request makes an agent
    request = await world.request(case)
    if "json" in request:
        more = ADDED.get(case.name)
        request["json"] = _planted(_merged(request["json"], more) if more else request["json"])
    return request


async def _ask(watch: Watch, case: Case) -> None:
    world = watch.world
    request = await _right(world, case)
    kind = {"content-type": "application/json"}
    raw = {k: request[k] for k in ("method", "url")}
    if case.method in ("POST", "PUT", "PATCH"):
        for body in _wrong_bodies(case, request.get("json")):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            await _send(watch, case, raw | {"content": content, "headers": kind | case.headers})
    token = {"headers": request["headers"] | {"x-subject-token": CANARY}}
    query = f"{'&' if '?' in request['url'] else '?'}token={CANARY}&password={CANARY}"
    await _send(watch, case, request | token | {"url": request["url"] + query})
    stranger = {"headers": request["headers"] | {"x-auth-token": CANARY}}
    watch.hear(f"{case.name}:", await world.clients["notoken"].request(**(request | stranger)))
    await _send(watch, case, await _right(world, case))


@pytest.mark.parametrize("name", APIS)
async def test_no_canary_is_seen(watch: Watch, name: str) -> None:
    await watch.world.renew()
    watch.served.clear()
    apis = [api for api in watch.world.apis if api.prefix == PREFIXES[name]]
    asked = [case for api in apis for case in cases(api)]
    for case in asked:
        await _ask(watch, case)
    assert len(watch.served) > len(asked) * 0.7, sorted({c.name for c in asked} - watch.served)
    lines = watch.lines.getvalue().splitlines()
    assert len(watch.refusals) > 100 and len(lines) > 100
    assert watch.bus.failures or name != "compute"
    wrong = {
        "answered": watch.found_in(watch.refusals),
        "logged": watch.found_in(lines),
        "counted": watch.found_in(metrics.render().decode().splitlines()),
        "called": watch.found_in(watch.bus.failures),
        "kept": sorted(await _at_rest(watch) - set(AT_REST)),
    }
    watch.refusals.clear()
    watch.lines.truncate(0)
    watch.bus.failures.clear()
    shown = {where: (len(found), found[:12]) for where, found in wrong.items() if found}
    assert not shown, json.dumps(shown, indent=1)


async def _at_rest(watch: Watch) -> set[str]:
    """The tables that hold a secret as it is."""
    found = set()
    secrets = watch.secrets - {MISPLACED}
    async with opened_rows(watch.world.cloud.runtime.database_url) as rows:
        for database, table in await rows.tables():
            held = repr(await rows.ask(database, f'SELECT * FROM "{table}"'))
            found |= {f"{database}.{table}" for secret in secrets if secret in held}
    return found
