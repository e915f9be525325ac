# SPDX-License-Identifier: Apache-2.0
"""Who may call what: every route, for every role. And what nonsense does: a 4xx, never a 5xx."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octostack.base import ids
from octostack.services.placement.routes import ROUTES
from octostack.testing import identity

pytestmark = pytest.mark.anyio

ROLES = ("admin", "service", "manager", "member", "reader", "")
ALLOWED: dict[str, set[str]] = {
    "@public": set(ROLES) | {"none"},
    "placement:reshaper:reshape": {"service"},
    "placement:usages": {"admin", "service", "manager", "member", "reader"},
}
MOST = {"admin", "service"}


def path_of(template: str) -> str:
    path = template.replace("{resource_class}", "VCPU").replace("{name}", "CUSTOM_A")
    path = path.replace("{uuid}", ids.new()).replace("{consumer_uuid}", ids.new())
    return "/placement" + path + ("?project_id=p1" if template == "/usages" else "")


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path} {r.since}")
async def test_every_route_for_every_role(cloud: Any, route: Any) -> None:
    allowed = ALLOWED.get(route.rule, MOST)
    version = f"{min(route.until, (1, 39))[0]}.{min(route.until, (1, 39))[1]}"
    headers = {"openstack-api-version": f"placement {version}"}
    for role in (*ROLES, "none"):
        token = None if role == "none" else identity.token(role)
        async with cloud.client(token) as http:
            answer = await http.request(route.method, path_of(route.path), headers=headers, json={})
        if role == "none" and role not in allowed:
            assert answer.status_code == 401, (role, answer.text)
        else:
            assert (answer.status_code != 403) is (role in allowed), (role, answer.text)
        assert answer.status_code < 500


async def test_a_project_sees_no_other_ones_usage(cloud: Any) -> None:
    headers = {"openstack-api-version": "placement 1.39"}
    for role, status in (("reader", 403), ("member", 403), ("manager", 403), ("admin", 200)):
        async with cloud.client(identity.token(role, "p2")) as http:
            answer = await http.get("/placement/usages?project_id=p1", headers=headers)
        assert answer.status_code == status, role


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["VCPU", "CUSTOM_A", "host", "11111111-2222-3333-4444-555555555555"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "uuid",
                    "parent_provider_uuid",
                    "total",
                    "allocation_ratio",
                    "inventories",
                    "resource_provider_generation",
                    "allocations",
                    "resources",
                    "VCPU",
                    "project_id",
                    "user_id",
                    "consumer_generation",
                    "consumer_type",
                    "traits",
                    "aggregates",
                ]
            )
            | st.text(max_size=8),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
texts = st.text(max_size=20)
queries = st.lists(
    st.tuples(
        st.sampled_from(
            ["resources", "resources1", "required", "member_of", "in_tree", "limit", "name",
             "group_policy", "same_subtree", "root_required", "uuid", "project_id", "associated"]
        )
        | texts,
        st.sampled_from(["VCPU:1", "in:A,B", "!A", "", "none", "-1", "9" * 30]) | texts,
    ),
    max_size=5,
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from([r for r in ROUTES if r.rule != "@public"]), json_values, queries, texts)
async def test_nonsense_is_answered_with_4xx(
    cloud: Any, route: Any, body: Any, query: list[tuple[str, str]], text: str
) -> None:
    version = f"{route.since[0] or 1}.{max(route.since[1], min(route.until[1], 39))}"
    path = route.path
    for name in ("{uuid}", "{name}", "{resource_class}", "{consumer_uuid}"):
        path = path.replace(name, quote(text, safe="") or "x")
    async with cloud.client(identity.token("admin,service")) as http:
        answer = await http.request(
            route.method,
            "/placement" + path,
            params=query,
            json=body,
            headers={"openstack-api-version": f"placement {version}"},
        )
    assert answer.status_code < 500, (route.method, path, body, answer.text)
    if answer.status_code >= 400 and answer.content:
        assert answer.json()["errors"][0]["detail"]
