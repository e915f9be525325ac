# SPDX-License-Identifier: Apache-2.0
"""Every route and action, tried by every default role and by another project."""

from typing import Any

import pytest

from octostack.runtime.http import PUBLIC, Route
from octostack.services.compute.api.actions import ACTIONS
from octostack.services.compute.api.retired import GONE
from octostack.services.compute.routes import CONSOLE_ROUTES, ROUTES, VERSION_ROUTES
from octostack.testing.compute import Neighbours

pytestmark = pytest.mark.anyio

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGg0z6mK3YJ5bH6Xy7f5Vt5e3l9L7m3q3Q2m1b0r9sTt a@b"
NOWHERE = "00000000-0000-4000-8000-000000000000"
EVERYONE = ("reader", "member", "manager", "admin")
MEMBERS, ADMINS = ("member", "manager", "admin"), ("admin",)
S, G, A = "/servers/{server_id}", "/os-server-groups/{group_id}", "/os-aggregates/{aggregate_id}"
SG, FIP = "/os-security-groups/{group_id}", "/os-floating-ips/{floating_ip_id}"
I = "/images/{image_id}"  # noqa: E741
F, H, Q = "/flavors/{flavor_id}", "/os-hypervisors/{hypervisor_id}", "/os-quota-sets/{project_id}"

# Who may, by default. What a role may not is 403; what another project owns is not there.
CASES: dict[str, tuple[str, ...]] = {
    "GET /extensions": EVERYONE, "GET /extensions/{alias}": EVERYONE,
    "GET /flavors": EVERYONE, "GET /flavors/detail": EVERYONE, f"GET {F}": EVERYONE,
    "POST /flavors": ADMINS, f"PUT {F}": ADMINS, f"DELETE {F}": ADMINS,
    f"POST {F}/action": ADMINS, f"GET {F}/os-flavor-access": EVERYONE,
    f"GET {F}/os-extra_specs": EVERYONE, f"POST {F}/os-extra_specs": ADMINS,
    f"GET {F}/os-extra_specs/{{key}}": EVERYONE, f"PUT {F}/os-extra_specs/{{key}}": ADMINS,
    f"DELETE {F}/os-extra_specs/{{key}}": ADMINS,
    "GET /os-keypairs": EVERYONE, "POST /os-keypairs": MEMBERS,
    "GET /os-keypairs/{name}": EVERYONE, "DELETE /os-keypairs/{name}": MEMBERS,
    "POST /servers": MEMBERS, "GET /servers": EVERYONE, "GET /servers/detail": EVERYONE,
    f"GET {S}": EVERYONE, f"PUT {S}": MEMBERS, f"DELETE {S}": MEMBERS,
    f"POST {S}/action": MEMBERS, f"GET {S}/metadata": EVERYONE, f"POST {S}/metadata": MEMBERS,
    f"PUT {S}/metadata": MEMBERS, f"GET {S}/metadata/{{key}}": EVERYONE,
    f"PUT {S}/metadata/{{key}}": MEMBERS, f"DELETE {S}/metadata/{{key}}": MEMBERS,
    f"GET {S}/tags": EVERYONE, f"PUT {S}/tags": MEMBERS, f"DELETE {S}/tags": MEMBERS,
    f"GET {S}/tags/{{tag}}": EVERYONE, f"PUT {S}/tags/{{tag}}": MEMBERS,
    f"DELETE {S}/tags/{{tag}}": MEMBERS, f"GET {S}/ips": EVERYONE,
    f"GET {S}/ips/{{network}}": EVERYONE, f"GET {S}/diagnostics": ADMINS,
    f"GET {S}/os-security-groups": EVERYONE, f"GET {S}/os-server-password": EVERYONE,
    f"DELETE {S}/os-server-password": MEMBERS, f"GET {S}/topology": EVERYONE,
    f"GET {S}/os-volume_attachments": EVERYONE, f"GET {S}/migrations": ADMINS,
    f"POST {S}/remote-consoles": MEMBERS, "GET /os-console-auth-tokens/{token}": ADMINS,
    f"GET {S}/os-interface": EVERYONE, f"POST {S}/os-interface": MEMBERS,
    f"GET {S}/os-interface/{{port_id}}": EVERYONE,
    f"DELETE {S}/os-interface/{{port_id}}": MEMBERS,
    f"GET {S}/os-instance-actions": EVERYONE,
    f"GET {S}/os-instance-actions/{{request_id}}": EVERYONE,
    "GET /os-server-groups": EVERYONE, "POST /os-server-groups": MEMBERS, f"GET {G}": EVERYONE,
    f"DELETE {G}": MEMBERS, "GET /os-aggregates": ADMINS, "POST /os-aggregates": ADMINS,
    f"GET {A}": ADMINS, f"PUT {A}": ADMINS, f"DELETE {A}": ADMINS, f"POST {A}/action": ADMINS,
    f"POST {A}/images": ADMINS, "GET /os-services": ADMINS,
    "PUT /os-services/{service_id}": ADMINS, "DELETE /os-services/{service_id}": ADMINS,
    "GET /os-hypervisors": ADMINS, "GET /os-hypervisors/detail": ADMINS,
    "GET /os-hypervisors/statistics": ADMINS, f"GET {H}": ADMINS, f"GET {H}/uptime": ADMINS,
    f"GET {H}/search": ADMINS, f"GET {H}/servers": ADMINS, "GET /os-availability-zone": EVERYONE,
    "GET /os-availability-zone/detail": ADMINS, f"GET {Q}": EVERYONE,
    f"GET {Q}/detail": EVERYONE, f"GET {Q}/defaults": EVERYONE, f"PUT {Q}": ADMINS,
    f"DELETE {Q}": ADMINS, "GET /os-quota-class-sets/{name}": ADMINS,
    "PUT /os-quota-class-sets/{name}": ADMINS, "GET /limits": EVERYONE,
    "GET /os-simple-tenant-usage": ADMINS, "GET /os-simple-tenant-usage/{project_id}": EVERYONE,
    "POST /os-server-external-events": ADMINS, "GET /os-migrations": ADMINS,
    "GET /os-instance_usage_audit_log": ADMINS, "GET /os-instance_usage_audit_log/{before}": ADMINS,
    **{f"{m} {path}": EVERYONE for path, methods in GONE.items() for m in methods},
    "PUT /os-hosts/{host}": ADMINS, "GET /os-hosts/{host}/reboot": ADMINS,
    "GET /os-hosts/{host}/shutdown": ADMINS, "GET /os-hosts/{host}/startup": ADMINS,
    "GET /os-hosts": ADMINS, "GET /os-hosts/{host}": ADMINS,
    # Other services' things: these let pass who may, and the service then decides.
    "GET /os-tenant-networks": EVERYONE, "GET /os-tenant-networks/{network_id}": EVERYONE,
    "GET /os-networks": EVERYONE, "GET /os-networks/{network_id}": EVERYONE,
    "GET /os-security-groups": EVERYONE, f"GET {SG}": EVERYONE,
    "POST /os-security-groups": MEMBERS, f"PUT {SG}": MEMBERS, f"DELETE {SG}": MEMBERS,
    "POST /os-security-group-rules": MEMBERS, "DELETE /os-security-group-rules/{rule_id}": MEMBERS,
    "GET /os-floating-ip-pools": EVERYONE, "GET /os-floating-ips": EVERYONE, f"GET {FIP}": EVERYONE,
    "POST /os-floating-ips": MEMBERS, f"DELETE {FIP}": MEMBERS,
    "GET /images": EVERYONE, "GET /images/detail": EVERYONE,
    f"GET {I}": EVERYONE, f"DELETE {I}": EVERYONE,
    **{f"{m} {I}/metadata": EVERYONE for m in ("GET", "POST", "PUT")},
    **{f"{m} {I}/metadata/{{key}}": EVERYONE for m in ("GET", "PUT", "DELETE")},
}  # fmt: skip
ACTION_CASES = dict.fromkeys(ACTIONS, MEMBERS) | dict.fromkeys(
    ("os-resetState", "injectNetworkInfo", "migrate", "os-migrateLive", "evacuate"), ADMINS
)
BODIES: dict[str, Any] = {
    "POST /flavors": {"flavor": {"name": "n", "ram": 1, "vcpus": 1, "disk": 1}},
    f"PUT {F}": {"flavor": {"description": "d"}},
    f"POST {F}/action": {"addTenantAccess": {"tenant": "p1"}},
    f"POST {F}/os-extra_specs": {"extra_specs": {"k": "v"}},
    f"PUT {F}/os-extra_specs/{{key}}": {"k": "v"},
    "POST /os-keypairs": {"keypair": {"name": "n", "public_key": KEY}},
    f"PUT {S}": {"server": {}}, f"POST {S}/action": {"os-stop": None},
    f"POST {S}/metadata": {"metadata": {"k": "v"}}, f"PUT {S}/metadata": {"metadata": {"k": "v"}},
    f"PUT {S}/metadata/{{key}}": {"meta": {"k": "v"}}, f"PUT {S}/tags": {"tags": ["t"]},
    f"POST {S}/remote-consoles": {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    f"POST {S}/os-interface": {"interfaceAttachment": {}},
    "POST /os-server-groups": {"server_group": {"name": "g", "policy": "affinity"}},
    "POST /os-aggregates": {"aggregate": {"name": "n"}}, f"PUT {A}": {"aggregate": {"name": "m"}},
    f"POST {A}/action": {"set_metadata": {"metadata": {"k": "v"}}},
    f"POST {A}/images": {"cache": [{"id": NOWHERE}]},
    "PUT /os-services/{service_id}": {"status": "enabled"},
    f"PUT {Q}": {"quota_set": {"cores": 20}},
    "PUT /os-quota-class-sets/{name}": {"quota_class_set": {"cores": 20}},
    "PUT /os-hosts/{host}": {"status": "enable"},
    "POST /os-security-groups": {"security_group": {"name": "n", "description": ""}},
    f"PUT {SG}": {"security_group": {"name": "n", "description": ""}},
    "POST /os-security-group-rules": {"security_group_rule": {"parent_group_id": NOWHERE}},
    f"POST {I}/metadata": {"metadata": {"k": "v"}}, f"PUT {I}/metadata": {"metadata": {"k": "v"}},
    f"PUT {I}/metadata/{{key}}": {"meta": {"k": "v"}},
    "POST /os-server-external-events": {
        "events": [{"name": "network-changed",
                    "server_uuid": NOWHERE}]},
}  # fmt: skip


def _name(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_every_route_has_a_case() -> None:
    named = {_name(r) for r in ROUTES if r.rule != PUBLIC}
    assert named == set(CASES)
    public = [r for r in (*ROUTES, *VERSION_ROUTES, *CONSOLE_ROUTES) if r.rule == PUBLIC]
    assert {_name(r) for r in public} == {"GET ", "WEBSOCKET ", "GET /vnc_auto.html"}


@pytest.fixture
async def there(member: Any, admin: Any, neighbours: Neighbours, image: str) -> dict[str, str]:
    """One of everything, as the values of path parameters."""
    net = neighbours.network.add_network("net")
    await member("POST", "/os-keypairs", {"keypair": {"name": "key", "public_key": KEY}})
    group = {"server_group": {"name": "g", "policy": "affinity"}}
    aggregate = {"aggregate": {"name": "a"}}
    services = (await admin("GET", "/os-services?binary=nova-compute"))["services"]
    server_id = await member.boot(image, networks=[{"uuid": net}], metadata={"k": "v"}, tags=["t"])
    return {
        "server_id": server_id,
        "group_id": (await member("POST", "/os-server-groups", group))["server_group"]["id"],
        "aggregate_id": str((await admin("POST", "/os-aggregates", aggregate))["aggregate"]["id"]),
        "service_id": services[0]["id"],
        "hypervisor_id": neighbours.facts[0].provider_id,
        "port_id": next(iter(neighbours.network.ports)),
        "project_id": "p1",
        "flavor_id": "1",
        "name": "key",
        "network": "net",
        "alias": "os-keypairs",
        "token": "t",
        "tag": "t",
        "key": "k",
        "request_id": "req-0",
        "host": "host1",
        "image_id": image,
        "network_id": net,
        "rule_id": NOWHERE,
        "floating_ip_id": NOWHERE,
        "before": "2026-01-01 00:00:00",
        "id": "1",
    }


async def _try(api: Any, route: Route, there: dict[str, str], image: str) -> int:
    body = BODIES.get(_name(route))
    if _name(route) == "POST /servers":
        body = {"server": {"name": "s", "flavorRef": "1", "imageRef": image, "networks": "none"}}
    version = "2.30" if route.until < (2, 90) or route.path in GONE else "2.96"
    if route.until >= (2, 87) and route.until < (2, 90):
        version = "2.87"
    path = route.path.format(**there)
    answer = await api.raw(route.method, path, body, version=version)
    status: int = answer.status_code
    assert status < 500 or status == 501, (_name(route), answer.text)
    return status


async def test_roles(as_user: Any, there: dict[str, str], image: str) -> None:
    wrong = []
    readers_first = sorted(ROUTES, key=lambda r: r.method == "DELETE")
    for role in EVERYONE:
        api = await as_user(role)
        for route in readers_first:
            if route.rule == PUBLIC:
                continue
            may = role in CASES[_name(route)]
            if may and route.method == "DELETE":
                continue  # it would be gone for the others; the resources' own tests delete
            status = await _try(api, route, there, image)
            if (status == 403) == may:
                wrong.append((role, _name(route), status))
    assert wrong == []


async def test_actions_by_role(as_user: Any, there: dict[str, str]) -> None:
    path = f"/servers/{there['server_id']}/action"
    wrong = []
    for role in EVERYONE:
        api = await as_user(role)
        for name, action in ACTIONS.items():
            may = role in ACTION_CASES[name]
            if may:
                continue  # what it does is tested where it belongs
            version = "2.5" if action.until < (2, 90) else "2.96"
            answer = await api.raw("POST", path, {name: {}}, version=version)
            if answer.status_code != 403:
                wrong.append((role, name, answer.status_code))
    assert wrong == []


async def test_another_project(as_user: Any, there: dict[str, str], image: str) -> None:
    """A member of another project does not even learn that these exist."""
    stranger = await as_user("member", "p2", "u2")
    owned = [r for r in ROUTES if "{server_id}" in r.path or "{group_id}" in r.path]
    owned = [r for r in owned if not r.path.startswith("/os-security-groups")]  # Network's
    wrong = []
    for route in owned:
        status = await _try(stranger, route, there, image)
        if status != 404:
            wrong.append((_name(route), status))
    assert len(owned) > 30 and wrong == []
    for path in ("/os-quota-sets/p1", "/os-simple-tenant-usage/p1"):
        await stranger("GET", path, status=403)


async def test_nobody_without_a_token(cloud: Any, there: dict[str, str]) -> None:
    async with cloud.client() as client:
        for route in ROUTES:
            path = "/compute/v2.1" + route.path.format(**there)
            answer = await client.request(route.method, path)
            if route.rule != PUBLIC and route.since <= (2, 1):
                assert answer.status_code == 401, _name(route)
