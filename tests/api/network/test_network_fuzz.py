# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent: an answer below 500, and an error in the API's own form."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octostack.services.network import routes
from octostack.testing import identity
from octostack.testing.cloud import running

SETTINGS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NOBODY = "00000000-0000-4000-8000-000000000000"
RESOURCES = {thing.resource.plural: thing.resource for thing in routes.THINGS}
WORDS = st.sampled_from(
    ["", "x", "é", "\x00", "../../etc/passwd", "' OR 1=1 --", "10.0.0.0/24", "10.0.0.5", "fd00::1",
     "fd00::/64", "::/0", "0.0.0.0/0", "1.2.3.4/33", "fe80::1%eth0", "tcp", "vxlan", "flat", "true",
     "2026-01-01T00:00:00Z", "9999-12-31",
     "999999999999999999999", "-1", NOBODY, "*", "network:dhcp", "fa:16:3e:00:00:01", "a" * 300]
)  # fmt: skip
NUMBERS = st.sampled_from([0, 1, -1, 4, 6, 255, 65536, 2**31, 2**63, 2**70, 1.5, -1e308])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["start", "end", "destination", "nexthop", "ip_address", "subnet_id",
                             "mac_address", "network_id", "enable_snat", "external_fixed_ips",
                             "opt_name", "opt_value", "ip_version", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)  # fmt: skip


async def seen(member):
    """Ids of things that are there, so that wrong bodies reach behind the first check."""
    network, subnet, router = await member.connected()
    groups = (await member("GET", "/security-groups"))["security_groups"]
    return {
        "network_id": network["id"],
        "subnet_id": subnet["id"],
        "port_id": (await member.port(network["id"]))["id"],
        "router_id": router["id"],
        "floating_network_id": await member.external(),
        "security_group_id": groups[0]["id"],
        "object_id": network["id"],
    }


def base(plural, ids):
    """A right body, to be made wrong."""
    given = {
        "subnets": {"network_id": ids["network_id"], "ip_version": 4, "cidr": "10.5.0.0/24"},
        "ports": {"network_id": ids["network_id"]},
        "floatingips": {"floating_network_id": ids["floating_network_id"]},
        "security_group_rules": {"security_group_id": ids["security_group_id"],
                                 "direction": "ingress"},
        "default_security_group_rules": {"direction": "ingress"},
        "subnetpools": {"name": "p", "prefixes": ["10.0.0.0/16"]},
        "address_scopes": {"name": "s", "ip_version": 4},
        "rbac_policies": {"object_type": "network", "object_id": ids["object_id"],
                          "target_tenant": "p2", "action": "access_as_shared"},
    }  # fmt: skip
    return dict(given.get(plural, {}))


def check(answer, what):
    assert answer.status_code < 500, (what, answer.text[:500])
    if answer.status_code >= 400:
        assert set(answer.json()["NeutronError"]) == {"type", "message", "detail"}, what


class Sync:
    """A cloud for tests that are not async: hypothesis runs the examples, we run the loop."""

    def __init__(self, runner, callers):
        self._runner = runner
        self._callers = {"admin": callers("admin", "ops"), "member": callers()}
        self.ids = runner.run(seen(self._callers["member"]))

    def send(self, caller, method, path, body=None, **more):
        return self._runner.run(self._callers[caller].raw(method, path, body, **more))


@pytest.fixture(scope="module")
def sync(tmp_path_factory, callers_of):
    extra = [("identity", identity.build)]
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        opened = running(tmp_path_factory.mktemp("fuzz"), ["network"], extra=extra)
        cloud = runner.run(stack.enter_async_context(opened))
        client = runner.run(stack.enter_async_context(cloud.client()))
        yield Sync(runner, callers_of(client))
        runner.run(stack.aclose())


CALLERS = st.sampled_from(["admin", "member"])


@given(data=st.data())
@SETTINGS
def test_any_body_to_create(sync, data):
    plural = data.draw(st.sampled_from(sorted(RESOURCES)))
    resource = RESOURCES[plural]
    body = base(plural, sync.ids)
    for name in data.draw(st.sets(st.sampled_from(sorted(resource.attrs)), min_size=1, max_size=3)):
        body[name] = data.draw(JSON)
    many = data.draw(st.booleans())
    whole = {plural: [body, body]} if many else {resource.name: body}
    answer = sync.send(data.draw(CALLERS), "POST", f"/{resource.path}", whole)
    check(answer, (plural, whole))


@given(data=st.data())
@SETTINGS
def test_any_body_to_update(sync, data):
    things = {"networks": "network_id", "subnets": "subnet_id", "ports": "port_id",
              "routers": "router_id", "security_groups": "security_group_id"}  # fmt: skip
    plural = data.draw(st.sampled_from(sorted(things)))
    resource = RESOURCES[plural]
    names = sorted(name for name, attr in resource.attrs.items() if attr.put)
    chosen = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=3))
    body = {resource.name: {name: data.draw(JSON) for name in sorted(chosen)}}
    path = f"/{resource.path}/{sync.ids[things[plural]]}"
    check(sync.send(data.draw(CALLERS), "PUT", path, body), (path, body))


@given(data=st.data())
@SETTINGS
def test_any_query(sync, data):
    resource = RESOURCES[data.draw(st.sampled_from(sorted(RESOURCES)))]
    names = [*resource.attrs, "limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields",
             "tags", "tags-any", "not-tags", "changed_since", "x"]  # fmt: skip
    pairs = st.tuples(st.sampled_from(names), WORDS | st.sampled_from(["id", "name", "asc", "1"]))
    query = data.draw(st.lists(pairs, max_size=5))
    answer = sync.send(data.draw(CALLERS), "GET", f"/{resource.path}", params=query)
    check(answer, (resource.path, query))


@given(data=st.data())
@SETTINGS
def test_any_body_and_path_to_what_else_there_is(sync, data):
    tagged = [route for route in routes.ROUTES if "/ports/{id}/tags" in route.path]
    route = data.draw(st.sampled_from([*routes.SPECIAL, *tagged]))
    here = st.sampled_from(
        [*sync.ids.values(), NOBODY, "p1", "x", "%00", "%F0%9F%98%80", "a" * 300]
    )
    path = route.path.format(id=data.draw(here), tag=data.draw(here), alias=data.draw(here))
    keys = st.sampled_from(
        ["subnet_id", "port_id", "router", "routes", "prefixes", "quota", "tags"]
    )
    values = JSON | here | st.fixed_dictionaries({"routes": JSON, "network": JSON, "port": JSON})
    body = data.draw(JSON | st.dictionaries(keys, values, max_size=3))
    check(sync.send(data.draw(CALLERS), route.method, path, body), (route.method, path, body))


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[1,", b'{"network": {"name": "\xff"}}', b'{"a":' * 5000, b"nul", b'"x"']
)
@pytest.mark.anyio
async def test_what_is_not_json(cloud, raw):
    headers = {"x-auth-token": identity.token("member", "p1"), "content-type": "application/json"}
    async with cloud.client() as client:
        answer = await client.post("/networking/v2.0/networks", content=raw, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["NeutronError"]["type"] == "HTTPBadRequest"
