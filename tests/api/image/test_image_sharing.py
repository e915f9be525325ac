# SPDX-License-Identifier: Apache-2.0
"""Who sees whose images: visibility and members."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio


async def test_what_each_visibility_shows(user: Any) -> None:
    owner, other, admin = user("member", "p1"), user("member", "p2"), user("admin", "p3")
    images = {v: await owner.filled(name=v) for v in ("private", "shared", "community")}
    images["public"] = await admin.filled(name="public", visibility="public")
    for visibility in ("private", "community"):
        changed = await owner.patch(images[visibility], ("replace", "visibility", visibility))
        assert changed.status_code == 200, changed.text
    assert await owner.names("sort=name:asc") == ["community", "private", "public", "shared"]
    assert await other.names("sort=name:asc") == ["public"]
    assert await other.names("visibility=all&sort=name:asc") == ["community", "public"]
    assert await other.names("visibility=community") == ["community"]
    assert await admin.names("visibility=private") == ["private"]
    for visibility, image_id in images.items():
        open_to_all = visibility in ("public", "community")
        seen = await other.ask("GET", f"/images/{image_id}")
        assert seen.status_code == (200 if open_to_all else 404), visibility
        data = await other.ask("GET", f"/images/{image_id}/file")
        assert data.status_code == (200 if open_to_all else 404), visibility
        for method, path in (("DELETE", ""), ("PUT", "/tags/x"), ("POST", "/actions/deactivate")):
            done = await other.ask(method, f"/images/{image_id}{path}")
            assert done.status_code == (403 if open_to_all else 404), (visibility, method)


async def test_sharing(user: Any) -> None:
    owner, other, third = user("member", "p1"), user("member", "p2"), user("member", "p3")
    image_id = await owner.filled(name="leaf")
    members = f"/images/{image_id}/members"
    assert (await other.ask("GET", members)).status_code == 404
    made = await owner.ask("POST", members, {"member": "p2"})
    assert made.status_code == 200, made.text
    assert made.json()["status"] == "pending"
    assert (await owner.ask("POST", members, {"member": "p2"})).status_code == 409
    await owner.ask("POST", members, {"member": "p3"})

    # The member sees the image and itself, not who else does; lists wait for its yes.
    assert (await other.show(image_id))["name"] == "leaf"
    assert [m["member_id"] for m in (await other.ask("GET", members)).json()["members"]] == ["p2"]
    assert (await other.ask("GET", f"{members}/p3")).status_code == 404
    assert len((await owner.ask("GET", members)).json()["members"]) == 2
    assert await other.names() == []
    assert await other.names("member_status=pending") == ["leaf"]
    assert (await owner.ask("PUT", f"{members}/p2", {"status": "accepted"})).status_code == 403
    assert (await third.ask("PUT", f"{members}/p2", {"status": "accepted"})).status_code == 404
    accepted = await other.ask("PUT", f"{members}/p2", {"status": "accepted"})
    assert accepted.json()["status"] == "accepted"
    assert await other.names() == ["leaf"]
    assert (await other.ask("PUT", f"{members}/p2", {"status": "maybe"})).status_code == 400
    assert (await other.ask("DELETE", f"{members}/p2")).status_code == 403
    assert (await other.ask("POST", members, {"member": "p9"})).status_code == 403

    assert (await owner.ask("DELETE", f"{members}/p2")).status_code == 204
    assert (await other.ask("GET", f"/images/{image_id}")).status_code == 404
    assert (await owner.ask("DELETE", f"{members}/p2")).status_code == 404


async def test_only_shared_images_have_members(user: Any) -> None:
    owner = user()
    image_id = await owner.make(visibility="private")
    members = f"/images/{image_id}/members"
    assert (await owner.ask("POST", members, {"member": "p2"})).status_code == 403
    assert (await owner.ask("GET", members)).status_code == 403
    assert (await owner.ask("GET", f"{members}/p2")).status_code == 404
    for body in ({}, {"member": ""}, {"member": 7}, [], None):
        assert (await owner.ask("POST", members, body)).status_code == 400


async def test_a_limit_on_members(user: Any) -> None:
    owner = user()
    image_id = await owner.make()
    for n in range(128):
        await owner.ask("POST", f"/images/{image_id}/members", {"member": f"m{n}"})
    over = await owner.ask("POST", f"/images/{image_id}/members", {"member": "one more"})
    assert over.status_code == 413
