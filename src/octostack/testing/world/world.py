# SPDX-License-Identifier: Apache-2.0
"""The cloud itself: its personas, and its things, each made when it is first asked for."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from octostack.apps.parts import SIMULATED_HOSTS
from octostack.base import ids
from octostack.contracts.network import AgentInfo, Network
from octostack.runtime.bus import Transport
from octostack.runtime.http import Api
from octostack.testing.cloud import TestCloud, running
from octostack.testing.world import compute, network
from octostack.testing.world.requests import TABLES, Case
from octostack.testing.world.thing import Thing

# role, and the target it is held on; "other" is a project of another domain.
PERSONAS: dict[str, tuple[str, str]] = {
    "admin": ("admin", "ops"),
    "manager": ("manager", "project"),
    "member": ("member", "project"),
    "reader": ("reader", "project"),
    "service": ("service", "ops"),
    "norole": ("nothing", "project"),
    "other": ("manager", "other_project"),
    "system": ("reader", "system"),
    "domadm": ("manager", "home"),
    "domain": ("reader", "home"),
}
GONE = "gone"  # a host whose agent is of no use to anybody
PASSWORD = "secret words"
_HOLDER = re.compile(r"\{([\w.\-/]+)\}")
NEWEST = {"openstack-api-version": "compute 2.96, placement 1.39"}
_V3 = "/identity/v3"
_TRIES = 20_000


class World:
    """A cloud, a client for each persona, and one of everything."""

    def __init__(self, cloud: TestCloud) -> None:
        self.cloud = cloud
        self.clients: dict[str, httpx2.AsyncClient] = {"notoken": cloud.client()}
        self.ids: dict[str, str] = {}
        self._things: dict[str, Thing] = {}
        for table in TABLES.values():
            self._things.update(table.THINGS)
        self._count = 0

    @property
    def apis(self) -> list[Api]:
        """Every API that the cloud serves."""
        return [api for service in self.cloud.cloud.services for api in service.apis]

    async def prepare(self) -> None:
        """The domains, projects and users that everything else belongs to."""
        admin = self.clients["admin"] = self.cloud.client(await self.cloud.login())
        await self._create("home", "domain", name="home")
        await self._create("foreign", "domain", name="foreign")
        for name, domain in (("project", "home"), ("ops", "home"), ("other_project", "foreign")):
            await self._create(name, "project", name=name, domain_id=self.ids[domain])
        await self._create("nothing", "role", name="nothing")
        roles = (await admin.get(f"{_V3}/roles")).json()["roles"]
        self.ids |= {f"role.{role['name']}": role["id"] for role in roles}
        for persona, (role, target) in PERSONAS.items():
            await self._add(persona, role, target)
        await self._lift_quotas()
        await self.renew()
        self.ids["user"], self.ids["other_user"] = self.ids["user.member"], self.ids["user.other"]

    async def _lift_quotas(self) -> None:
        limits = {"router": -1, "network": -1, "subnet": -1, "port": -1, "floatingip": -1,
                  "security_group": -1, "security_group_rule": -1, "rbac_policy": -1}  # fmt: skip
        project = self.ids["project"]
        await self._ask(f"PUT {network.PREFIX}/quotas/{project}", {"quota": limits}, "admin")
        servers = {"instances": -1, "cores": -1, "ram": -1, "server_groups": -1, "key_pairs": -1}
        await self._ask(
            f"PUT {compute.PREFIX}/os-quota-sets/{project}", {"quota_set": servers}, "admin"
        )

    async def close(self) -> None:
        """Let the clients go."""
        for client in self.clients.values():
            await client.aclose()

    async def request(self, case: Case) -> dict[str, Any]:
        """The right request of `case`, as arguments of a client's ``request``."""
        url, body, headers = await self.filled([case.url, case.body, case.headers])
        request = {"method": case.method, "url": url} | _content(body)
        request["headers"] = request.get("headers", {}) | headers
        return request

    async def send(self, case: Case, persona: str, **changed: Any) -> httpx2.Response:
        """The request sent by a persona; `changed` replaces arguments of it."""
        return await self.sent(case, persona, await self.request(case) | changed)

    async def sent(self, case: Case, persona: str, request: dict[str, Any]) -> httpx2.Response:
        """The answer to a request; what it used up is made anew when it is next asked for."""
        answer = await self.clients[persona].request(**request)
        if case.uses_up and answer.status_code < 400:
            self.drop(f"{case.url} {case.body} {case.headers}")
        return answer

    def drop(self, text: str) -> None:
        """Forget the things that `text` names: they were used up."""
        for name in self.names_in(text):
            self.ids.pop(name, None)
            for part in self._things[name].of:
                self.ids.pop(part, None)

    async def renew(self) -> None:
        """Forget every thing: what is asked for next is made anew."""
        for name in self._things:
            self.ids.pop(name, None)
        network_service = self.cloud.runtime.bus.stub(Network)
        await network_service.register_agent(AgentInfo(host=GONE, simulated=True))

    def names_in(self, text: str) -> list[str]:
        """The things that a text with placeholders names."""
        return [name for name in _HOLDER.findall(text) if name in self._things]

    async def filled(self, value: Any) -> Any:
        """`value` with its placeholders replaced by what they stand for."""
        if isinstance(value, str):
            return await self._filled_text(value)
        if isinstance(value, list):
            return [await self.filled(part) for part in value]
        if isinstance(value, dict):
            return {await self.filled(k): await self.filled(v) for k, v in value.items()}
        return value

    async def _filled_text(self, text: str) -> str:
        parts = _HOLDER.split(text)
        parts[1::2] = [await self._value(name) for name in parts[1::2]]
        return "".join(parts)

    async def _value(self, name: str) -> str:
        self._count += 1
        fresh = {
            "new": f"n{self._count}",
            "NEW": f"N{self._count}",
            "cidr": f"10.{self._count // 250 % 60}.{self._count % 250}.0/24",
        }
        if name == "uuid":
            return ids.new()
        if name in fresh:
            return fresh[name]
        if name not in self.ids:
            self.ids[name] = await self._make(name, self._things[name])
        return self.ids[name]

    async def _make(self, name: str, thing: Thing) -> str:
        answer = await self._ask(thing.request, thing.body, thing.by)
        made = self._taken(thing.take, answer)
        for request, body in thing.then:
            later = await self._itself(request, made, answer), await self._itself(body, made, None)
            await self._ask(*later, thing.by)
        if thing.until:
            await self._wait(name, thing, made)
        return made

    async def _ask(self, request: str, body: Any, by: str) -> httpx2.Response:
        method, _, url = (await self.filled(request)).partition(" ")
        content = _content(await self.filled(body))
        content["headers"] = content.get("headers", {}) | NEWEST
        answer = await self.clients[by].request(method, url, **content)
        assert answer.status_code < 400, (request, answer.status_code, answer.text)
        return answer

    def _taken(self, take: str, answer: httpx2.Response) -> str:
        kind, _, rest = take.partition(":")
        if kind == "header":
            return str(answer.headers[rest])
        if kind == "sent":
            return self.ids[rest]
        if take == "url":
            return answer.request.url.path.rsplit("/", 1)[-1]
        return str(_at(answer.json(), take))

    async def _itself(self, value: Any, made: str, answer: httpx2.Response | None) -> Any:
        if isinstance(value, dict):
            return {k: await self._itself(v, made, answer) for k, v in value.items()}
        if not isinstance(value, str):
            return value
        value = value.replace("{self}", made)
        for path in re.findall(r"\{answer\.([\w.]+)\}", value):
            assert answer is not None
            value = value.replace(f"{{answer.{path}}}", str(_at(answer.json(), path)))
        return value

    async def _wait(self, name: str, thing: Thing, made: str) -> None:
        assert thing.until
        url, path, wanted = thing.until
        for _ in range(_TRIES):
            answer = await self.clients[thing.by].get(url.replace("{self}", made))
            if str(_at(answer.json(), path)) == wanted:
                return
            assert str(_at(answer.json(), path)) != "ERROR", answer.text
            await asyncio.sleep(0)
        raise AssertionError(f"{name} {made} is never {wanted}")

    async def _create(self, thing: str, kind: str, /, **body: Any) -> None:
        answer = await self.clients["admin"].post(f"{_V3}/{kind}s", json={kind: body})
        assert answer.status_code == 201, answer.text
        self.ids[thing] = answer.json()[kind]["id"]

    async def _add(self, persona: str, role: str, target: str) -> None:
        home = self.ids["foreign" if target == "other_project" else "home"]
        await self._create(
            f"user.{persona}", "user", name=persona, domain_id=home, password=PASSWORD
        )
        user = self.ids[f"user.{persona}"]
        kind = {"system": "system", "home": "domain"}.get(target, "project")
        where = "system" if kind == "system" else f"{kind}s/{self.ids[target]}"
        url = f"{_V3}/{where}/users/{user}/roles/{self.ids[f'role.{role}']}"
        assert (await self.clients["admin"].put(url)).status_code == 204
        scope = {kind: {"all": True} if kind == "system" else {"id": self.ids[target]}}
        token = await self.login(user, scope)
        if persona == "admin":
            await self.clients["admin"].aclose()
        self.clients[persona] = self.cloud.client(token)

    async def login(self, user_id: str, scope: Any) -> str:
        """A token of one of the personas' users."""
        user = {"id": user_id, "password": PASSWORD}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
        answer = await self.clients["notoken"].post(f"{_V3}/auth/tokens", json={"auth": auth})
        assert answer.status_code == 201, answer.text
        return str(answer.headers["x-subject-token"])


def _content(body: Any) -> dict[str, Any]:
    if isinstance(body, bytes):
        return {"content": body, "headers": {"content-type": "application/octet-stream"}}
    return {} if body is None else {"json": body}


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else value[part]
    return value


@asynccontextmanager
async def opened(directory: Path, transport: Transport | None = None) -> AsyncIterator[World]:
    """``async with opened(tmp_path) as world``: all services, two simulated hosts, personas."""
    extra = [(part.name, part.builder({"hosts": 2})) for part in SIMULATED_HOSTS]
    async with running(directory, extra=extra, transport=transport) as cloud:
        world = World(cloud)
        await world.prepare()
        yield world
        await world.close()
