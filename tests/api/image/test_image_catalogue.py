# SPDX-License-Identifier: Apache-2.0
"""Images without their bytes: create, show, list, patch, delete, tags."""

from typing import Any

import pytest

from octostack.base import ids
from octostack.services.image.core.quota import Limits
from octostack.services.image.service import Config

pytestmark = pytest.mark.anyio


@pytest.fixture
def image_config() -> Config:
    return Config(limits=Limits(image_count_total=20))


async def test_a_new_image(user: Any) -> None:
    member = user()
    image_id = ids.new()
    made = await member.ask(
        "POST", "/images", {"id": image_id, "name": "leaf", "hw_bus": "scsi", "tags": ["a", "a"]}
    )
    assert made.status_code == 201
    assert made.headers["location"].endswith(f"/image/v2/images/{image_id}")
    assert made.headers["openstack-image-import-methods"] == "glance-direct,web-download"
    shown = await member.show(image_id)
    assert shown == made.json()
    assert (shown["status"], shown["visibility"], shown["owner"]) == ("queued", "shared", "p1")
    assert (shown["hw_bus"], shown["tags"], shown["size"]) == ("scsi", ["a"], None)
    assert shown["file"] == f"/v2/images/{image_id}/file"
    again = await member.ask("POST", "/images", {"id": image_id})
    assert again.status_code == 409
    await member.ask("DELETE", f"/images/{image_id}")
    spent = await member.ask("POST", "/images", {"id": image_id})
    assert spent.status_code == 409  # hosts may still hold the old bytes under this id


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"name": 7}, 400, "name"),
        ({"name": "x" * 256}, 400, "longer"),
        ({"visibility": "secret"}, 400, "visibility"),
        ({"disk_format": "floppy"}, 400, "disk_format"),
        ({"min_ram": -1}, 400, "min_ram"),
        ({"min_disk": "1"}, 400, "min_disk"),
        ({"protected": "yes"}, 400, "protected"),
        ({"id": "x"}, 400, "id"),
        ({"colour": 7}, 400, "colour"),
        ({"x" * 256: "y"}, 400, "255"),
        ({"tags": "a"}, 400, "tags"),
        ({"status": "active"}, 403, "read-only"),
        ({"self": "x"}, 403, "read-only"),
        ({"deleted": "x"}, 403, "reserved"),
        ({"os_glance_x": "x"}, 403, "reserved"),
        ({"owner": "p2"}, 403, "owned by"),
        ({"visibility": "public"}, 403, "publicize_image"),
        ([], 400, "Body expected"),
    ],
)
async def test_what_cannot_be_made(user: Any, body: Any, status: int, says: str) -> None:
    answer = await user().ask("POST", "/images", body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=UTF-8"
    assert says in answer.text
    assert f"<h1>{status} " in answer.text


async def test_limits_on_numbers(user: Any) -> None:
    member = user()
    many = {f"p{n}": "v" for n in range(129)}
    assert (await member.ask("POST", "/images", many)).status_code == 413
    tags = {"tags": [str(n) for n in range(129)]}
    assert (await member.ask("POST", "/images", tags)).status_code == 413
    for _ in range(20):
        await member.make()
    over = await member.ask("POST", "/images", {})
    assert over.status_code == 413
    assert "image_count_total" in over.text
    usage = (await member.ask("GET", "/info/usage")).json()["usage"]
    assert usage["image_count_total"] == {"limit": 20, "usage": 20}
    await user("member", "p2").make()


async def test_a_patch_is_all_or_nothing(user: Any) -> None:
    member = user()
    image_id = await member.make(colour="red")
    good = await member.patch(image_id, ("replace", "name", "new"), ("remove", "colour", None))
    assert good.status_code == 200
    assert good.json()["name"] == "new"
    bad = await member.patch(image_id, ("replace", "name", "newer"), ("remove", "colour", None))
    assert bad.status_code == 409
    assert (await member.show(image_id))["name"] == "new"
    for changes, status in (
        ((("replace", "owner", "p2"),), 403),
        ((("replace", "visibility", "public"),), 403),
        ((("add", "colour", 7),), 400),
        ((("replace", "min_ram", -1),), 400),
        ((("replace", "id", "x"),), 403),
    ):
        assert (await member.patch(image_id, *changes)).status_code == status, changes
    plain = await member.ask("PATCH", f"/images/{image_id}", [])
    assert plain.status_code == 415
    given = await user("admin").patch(image_id, ("replace", "owner", "p2"))
    assert given.json()["owner"] == "p2"
    assert (await user("member", "p2").show(image_id))["name"] == "new"


async def test_protected_images_stay(user: Any) -> None:
    member = user()
    image_id = await member.make(protected=True)
    refused = await member.ask("DELETE", f"/images/{image_id}")
    assert refused.status_code == 403
    assert "protected" in refused.text
    await member.patch(image_id, ("replace", "protected", False))
    assert (await member.ask("DELETE", f"/images/{image_id}")).status_code == 204
    assert (await member.ask("DELETE", f"/images/{image_id}")).status_code == 404


async def test_tags(user: Any) -> None:
    member = user()
    image_id = await member.make()
    for tag, status in (("b", 204), ("a%20c", 204), ("x" * 256, 400)):
        path = f"/images/{image_id}/tags/{tag}"
        assert (await member.ask("PUT", path)).status_code == status
    assert (await member.ask("DELETE", f"/images/{image_id}/tags/b")).status_code == 204
    assert (await member.ask("DELETE", f"/images/{image_id}/tags/b")).status_code == 404
    assert len((await member.show(image_id))["tags"]) == 1


async def test_lists_filter_sort_and_page(user: Any) -> None:
    member = user()
    for n, name in enumerate("cabed"):
        await member.make(name=name, min_ram=n, colour="red" if n % 2 else "blue", tags=[name])
    await member.make(name="hidden", os_hidden=True)
    for query, expected in (
        ("sort=name:asc", "abcde"),
        ("sort_key=name&sort_dir=desc", "edcba"),
        ("name=a", "a"),
        ("name=in:a,b&sort=name:asc", "ab"),
        ("colour=red&sort=name:asc", "ae"),
        ("colour=red&name=a", "a"),
        ("tag=a&tag=b", ""),
        ("tag=a", "a"),
        ("status=active", ""),
        ("min_ram_min=3&sort=name:asc", "de"),
        ("min_ram=2", "b"),
        ("visibility=private", ""),
        ("owner=p2", ""),
        ("created_at=lt:2001-01-01T00:00:00Z", ""),
        ("created_at=gt:2001-01-01T00:00:00Z&limit=2&sort=name:asc", "ab"),
        ("protected=true", ""),
        ("limit=0", ""),
    ):
        assert "".join(await member.names(query)) == expected, query
    assert await member.names("os_hidden=true") == ["hidden"]
    seen, path = [], "/images?limit=2&sort=name:asc"
    while path:
        page = (await member.ask("GET", path)).json()
        assert page["first"].startswith("/v2/images?limit=2")
        seen += [image["name"] for image in page["images"]]
        path = page.get("next", "").removeprefix("/v2")
    assert seen == list("abcde")
    for query in ("marker=nobody", "sort_key=colour", "limit=-1", "size_min=x"):
        assert (await member.ask("GET", f"/images?{query}")).status_code == 400


async def test_names_of_any_kind(user: Any) -> None:
    member = user()
    for name in ("日本語", "a'b\"c", "<script>", "%", "_", "x\U0001f600", "../../etc"):
        image_id = await member.make(name=name)
        assert (await member.show(image_id))["name"] == name
        answer = await member.http.get("/image/v2/images", params={"name": name})
        assert [one["id"] for one in answer.json()["images"]] == [image_id]
    refused = await member.ask("GET", "/images/<script>alert(1)<%2Fscript>")
    assert refused.status_code == 404
    assert "<script>" not in refused.text


async def test_what_the_service_says_of_itself(cloud: Any, user: Any) -> None:
    async with cloud.client() as http:
        versions = await http.get("/image/")
        assert versions.status_code == 300
        assert versions.json()["versions"][0]["status"] == "CURRENT"
        assert (await http.get("/image/versions")).status_code == 200
        assert (await http.get("/image/v2/images")).status_code == 401
    member = user()
    for name in ("image", "images", "member", "members", "task", "tasks", "metadefs/namespace"):
        shown = (await member.ask("GET", f"/schemas/{name}")).json()
        assert shown["name"] == name.rpartition("/")[2]
    stores = (await member.ask("GET", "/info/stores")).json()["stores"]
    assert stores[0]["id"] == "files"
    assert (await member.ask("GET", "/images/")).status_code == 404
    assert (await member.ask("DELETE", "/images/")).status_code == 404
    assert (await member.ask("DELETE", "/images")).status_code == 405
