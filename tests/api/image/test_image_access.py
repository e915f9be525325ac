# SPDX-License-Identifier: Apache-2.0
"""Who may call what: every route, for every role, in the owner's project and in another.

And what nonsense does: a 4xx, never a 5xx.
"""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octostack.services.image.routes import ROUTES
from octostack.testing import identity

pytestmark = pytest.mark.anyio

# For each rule: the least role in the owner's project that may, and whether others' roles may
# too when the image is public. "admin" may everywhere; "service" is nobody special here.
ORDER = ("reader", "member", "manager", "admin")
LEAST = {
    "get_image": ("reader", True),
    "get_images": ("reader", None),
    "add_image": ("member", None),
    "modify_image": ("member", False),
    "delete_image": ("member", False),
    "upload_image": ("member", False),
    "download_image": ("member", True),
    "deactivate": ("member", False),
    "reactivate": ("member", False),
    "delete_image_location": ("admin", False),
    "get_members": ("reader", None),
    "get_member": ("reader", None),
    "add_member": ("member", None),
    "modify_member": ("admin", None),
    "delete_member": ("member", None),
    "stores_info_detail": ("admin", None),
    "tasks_api_access": ("admin", None),
}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v2/images"): {"name": "new"},
    ("PATCH", "/v2/images/{image_id}"): [],
    ("POST", "/v2/images/{image_id}/import"): {"method": {"name": "glance-direct"}},
    ("POST", "/v2/images/{image_id}/members"): {"member": "p9"},
    ("PUT", "/v2/images/{image_id}/members/{member_id}"): {"status": "accepted"},
}
NAMESPACE = "/v2/metadefs/namespaces/{namespace}"
ITEM = {"name": "n"}
for _kind, _one in (
    ("objects", ITEM),
    ("properties", ITEM | {"title": "t", "type": "string"}),
    ("tags", {"tags": [ITEM]}),
    ("resource_types", ITEM),
):
    BODIES["POST", f"{NAMESPACE}/{_kind}"] = _one
    BODIES["PUT", f"{NAMESPACE}/{_kind}/{{name}}"] = ITEM if _kind == "tags" else _one
BODIES["POST", "/v2/metadefs/namespaces"] = {"namespace": "another"}
BODIES["PUT", NAMESPACE] = {"namespace": "ns"}


def least(rule: str) -> tuple[str, bool | None]:
    """Who may what `rule` guards."""
    assert rule in LEAST, f"no case for {rule}: say who may"
    return LEAST[rule]


async def call(user: Any, route: Any, image_id: str) -> int:
    path = route.path.replace("{image_id}", image_id)
    for name, value in (("member_id", "p2"), ("tag", "t"), ("store_id", "files"),
                        ("task_id", "x"), ("namespace", "ns"), ("name", "n")):  # fmt: skip
        path = path.replace(f"{{{name}}}", value)
    body = BODIES.get((route.method, route.path))
    patch_type = {"content-type": "application/openstack-images-v2.1-json-patch"}
    stream_type = {"content-type": "application/octet-stream"}
    if route.raw:
        answer = await user.http.put("/image" + path, content=b"x", headers=stream_type)
    elif route.method == "PATCH":
        answer = await user.http.patch("/image" + path, json=body, headers=patch_type)
    else:
        answer = await user.http.request(route.method, "/image" + path, json=body)
    status: int = answer.status_code
    assert status < 500, answer.text
    return status


GUARDED = [r for r in ROUTES if not r.rule.startswith("@") and "metadef" not in r.rule]
DEFINITIONS = [r for r in ROUTES if "metadef" in r.rule]


@pytest.mark.parametrize("route", GUARDED, ids=lambda r: f"{r.method} {r.path}")
async def test_every_route_for_every_role(cloud: Any, user: Any, route: Any) -> None:
    role_needed, open_to_all = least(route.rule)
    about_image = "{image_id}" in route.path
    async with cloud.client() as http:
        anonymous = await http.request(route.method, "/image" + route.path)
    assert anonymous.status_code == 401
    for role in ("", "service", *ORDER):
        allowed = role in ORDER and ORDER.index(role) >= ORDER.index(role_needed)
        allowed = allowed or (role == "service" and route.rule == "stores_info_detail")
        image_id = await user("member").filled(b"x", tags=["t"])
        status = await call(user(role), route, image_id)
        assert (status not in (401, 403, 404)) is allowed or (
            (allowed and (status == 404 and "{image_id}" not in route.path))  # nothing there yet
            or (route.rule in ("delete_image_location", "modify_member", "get_member",
                              "delete_member") and status in (403, 404))  # one store, no member
        ), (role, status)  # fmt: skip
        if not about_image:
            continue
        image_id = await user("member").filled(b"x", tags=["t"])
        status = await call(user(role, "p2"), route, image_id)
        assert status == 404 or role == "admin", (role, status)  # what is not yours is not there
        if open_to_all is None or role in ("", "service", "admin"):
            continue
        await user("admin", "p3").patch(image_id, ("replace", "visibility", "public"))
        status = await call(user(role, "p2"), route, image_id)
        assert (status not in (403, 404)) is (allowed and bool(open_to_all)), (role, status)


async def definitions(user: Any, visibility: str) -> None:
    """A namespace of project p1 with one definition of each kind."""
    admin = user("admin", "p1")
    await admin.ask("DELETE", "/metadefs/namespaces/another")
    await admin.ask("DELETE", "/metadefs/namespaces/ns")
    body = {
        "namespace": "ns",
        "visibility": visibility,
        "objects": [ITEM],
        "properties": {"n": {"title": "t", "type": "string"}},
        "tags": [ITEM],
        "resource_type_associations": [ITEM],
    }
    made = await admin.ask("POST", "/metadefs/namespaces", body)
    assert made.status_code == 201, made.text


@pytest.mark.parametrize("route", DEFINITIONS, ids=lambda r: f"{r.method} {r.path}")
async def test_every_definition_for_every_role(user: Any, route: Any) -> None:
    inside = "{namespace}" in route.path
    for role in ("", "service", *ORDER):
        allowed = role == "admin" or (route.method == "GET" and role in ORDER)
        for project, visibility in (("p1", "private"), ("p2", "public"), ("p2", "private")):
            await definitions(user, visibility)
            status = await call(user(role, project), route, "")
            if inside and project == "p2" and visibility == "private" and role != "admin":
                assert status == 404, (role, project, visibility)
            else:
                assert (status != 403) is allowed, (role, project, visibility, status)
                assert not allowed or status in (200, 201, 204, 409), status


@pytest.mark.parametrize("route", [r for r in ROUTES if r.rule == "@any"], ids=lambda r: r.path)
async def test_what_any_token_opens(cloud: Any, user: Any, route: Any) -> None:
    async with cloud.client() as http:
        assert (await http.get("/image" + route.path)).status_code == 401
    assert await call(user(""), route, "x") == 200


async def test_a_member_may_accept_for_itself_alone(user: Any) -> None:
    image_id = await user().make()
    await user().ask("POST", f"/images/{image_id}/members", {"member": "p2"})
    path, body = f"/images/{image_id}/members/p2", {"status": "accepted"}
    for role, project, status in (
        ("reader", "p2", 403),
        ("member", "p3", 404),
        ("member", "p1", 403),
        ("member", "p2", 200),
    ):
        assert (await user(role, project).ask("PUT", path, body)).status_code == status


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["name", "id", "visibility", "tags", "min_ram", "min_disk", "protected", "owner",
             "disk_format", "op", "path", "value", "method", "uri", "member", "status",
             "namespace", "properties", "objects", "type", "title"]
        )
        | st.text(max_size=8),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip
pairs = st.lists(
    st.tuples(
        st.sampled_from(
            ["name", "limit", "marker", "sort", "sort_key", "sort_dir", "tag", "visibility",
             "size_min", "created_at", "member_status", "os_hidden", "id", "status"]
        )
        | st.text(max_size=6),
        st.sampled_from(["in:a,b", "gt:2020-01-01", "asc", "0", "-1", "9" * 30, 'in:"'])
        | st.text(max_size=12),
    ),
    max_size=4,
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from([r for r in ROUTES if r.rule != "@public"]),
    values,
    pairs,
    st.text(max_size=12),
    st.booleans(),
)
async def test_nonsense_is_answered_with_4xx(
    cloud: Any, route: Any, body: Any, query: list[tuple[str, str]], text: str, real: bool
) -> None:
    async with cloud.client(identity.token("admin")) as http:
        made = await http.post("/image/v2/images", json={"disk_format": "raw"})
        path = route.path
        if real:
            path = path.replace("{image_id}", made.json()["id"])
        for name in ("image_id", "member_id", "tag", "store_id", "task_id", "namespace", "name"):
            path = path.replace(f"{{{name}}}", quote(text, safe="") or "x")
        kind = "openstack-images-v2.1-json-patch" if route.method == "PATCH" else "json"
        answer = await http.request(
            route.method,
            "/image" + path,
            params=query,
            json=body,
            headers={"content-type": f"application/{kind}"},
        )
        await http.delete(f"/image/v2/images/{made.json()['id']}")
    assert answer.status_code < 500, (route.method, path, body, answer.text)
