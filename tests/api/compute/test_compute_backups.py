# SPDX-License-Identifier: Apache-2.0
"""Rotating backups, and the password a guest is given: on a whole cloud with a simulated host."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from octostack.base import log
from octostack.services.compute.store.cell_db import tables
from octostack.testing.cloud import TestCloud
from octostack.testing.compute_client import ComputeClient as Api

pytestmark = pytest.mark.anyio


@pytest.fixture
async def image(demo: Api) -> str:
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    made = (await demo.client.post("/image/v2/images", json=body)).json()
    data = {"content-type": "application/octet-stream"}
    url = f"/image/v2/images/{made['id']}/file"
    await demo.client.put(url, content=b"\0" * 512, headers=data)
    return str(made["id"])


async def _backups(api: Api, server_id: str) -> list[str]:
    url = f"/image/v2/images?instance_uuid={server_id}&image_type=backup&sort=created_at:asc"
    return [i["name"] for i in (await api.client.get(url)).json()["images"]]


async def test_backups_rotate(demo: Api, image: str) -> None:
    now = Api(demo.client)
    server_id = await now.boot(image)
    act = f"/servers/{server_id}/action"

    async def back_up(name: str, kind: str, rotation: int, **more: Any) -> Any:
        body = {"name": name, "backup_type": kind, "rotation": rotation} | more
        made = await now("POST", act, {"createBackup": body}, status=202)
        await now.until(server_id, "ACTIVE")
        return made

    made = await back_up("d1", "daily", 2, metadata={"k": "v"})
    kept = (await demo.client.get(f"/image/v2/images/{made['image_id']}")).json()
    assert (kept["image_type"], kept["backup_type"], kept["k"]) == ("backup", "daily", "v")
    assert kept["status"] == "active" and kept["instance_uuid"] == server_id
    await back_up("w1", "weekly", 1)
    await back_up("d2", "daily", 2)
    await back_up("d3", "daily", 2)
    assert await _backups(demo, server_id) == ["w1", "d2", "d3"]
    protect = [{"op": "replace", "path": "/protected", "value": True}]
    media = {"content-type": "application/openstack-images-v2.1-json-patch"}
    url = f"/image/v2/images?name=d2&instance_uuid={server_id}"
    [d2] = (await demo.client.get(url)).json()["images"]
    await demo.client.patch(f"/image/v2/images/{d2['id']}", json=protect, headers=media)
    await back_up("d4", "daily", 1)  # what is protected stays, and stops nothing
    assert await _backups(demo, server_id) == ["w1", "d2", "d4"]
    old = await demo.raw("POST", act, {"createBackup": {
        "name": "none", "backup_type": "weekly", "rotation": 0}}, version="2.44")  # fmt: skip
    assert old.status_code == 202 and "location" not in old.headers
    await now.until(server_id, "ACTIVE")
    assert await _backups(demo, server_id) == ["d2", "d4"]
    for wrong in ({"rotation": -1}, {"rotation": "x"}, {"name": ""}, {"more": 1}):
        body = {"name": "n", "backup_type": "d", "rotation": 1} | wrong
        await now("POST", act, {"createBackup": body}, status=400)
    await now("POST", act, {"pause": None}, status=202)
    await now.until(server_id, "PAUSED")


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """All that is logged."""
    stream = io.StringIO()
    log.configure(stream=stream, level="debug")
    yield stream
    log.configure(level="warning")


async def test_a_password_does_not_stay(
    whole: TestCloud, demo: Api, image: str, said: io.StringIO
) -> None:
    api, secret = Api(demo.client), "Pas5-of-a-guest"
    server_id = await api.boot(image, adminPass=secret, config_drive=True)
    assert secret not in await _row(whole, server_id)
    act = f"/servers/{server_id}/action"
    for name, status in (("rebuild", "ACTIVE"), ("rescue", "RESCUE")):
        body = {"adminPass": secret} | ({"imageRef": image} if name == "rebuild" else {})
        answer = await api("POST", act, {name: body})
        assert secret in str(answer)
        await api.until(server_id, status)
        assert secret not in await _row(whole, server_id)
    await api("POST", act, {"unrescue": None}, status=202)
    await api.until(server_id, "ACTIVE")
    await api("POST", act, {"changePassword": {"adminPass": secret}}, status=202)
    await api.until(server_id, "ACTIVE")
    assert secret not in await _row(whole, server_id)
    assert server_id in said.getvalue() and secret not in said.getvalue()


async def _row(whole: TestCloud, server_id: str) -> str:
    """All that the database has of the server."""
    [compute] = [s for s in whole.cloud.services if s.name == "compute"]
    async with compute.apis[0].app.cell_db.read() as tx:
        row = await tx.first(sa.select(tables.servers).where(tables.servers.c.id == server_id))
        sagas = await tx.all(sa.select(tables.sagas))
    assert row is not None
    return str(row) + str(sagas)
