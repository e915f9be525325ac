# SPDX-License-Identifier: Apache-2.0
"""What Compute and its agents ask: locate, read, snapshots by chunks and by file."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from octostack.base import ids
from octostack.base.errors import Conflict, Corrupt, Invalid, NotFound
from octostack.contracts.identity import Caller
from octostack.contracts.image import Images, SnapshotSpec

pytestmark = pytest.mark.anyio

CALLER = Caller(user_id="u1", project_id="p1", roles=("member", "reader"))
STRANGER = Caller(user_id="u2", project_id="p2", roles=("member", "reader"))


@pytest.fixture
def images(cloud: Any) -> Images:
    stub: Images = cloud.runtime.bus.stub(Images)
    return stub


async def test_an_image_is_found_and_read(images: Images, user: Any) -> None:
    data = os.urandom(100_000)
    image_id = await user().filled(data, hw_bus="scsi", min_ram=64)
    info = await images.get(CALLER, image_id)
    assert (info.properties, info.min_ram, info.size_bytes) == ({"hw_bus": "scsi"}, 64, 100_000)
    with pytest.raises(NotFound):
        await images.get(STRANGER, image_id)
    place = await images.locate(image_id)
    assert place.path is not None
    assert Path(place.path).read_bytes() == data
    assert place.sha512 == hashlib.sha512(data).hexdigest()
    assert await images.read(image_id, 10, 5) == data[10:15]
    assert await images.read(image_id, 100_000, 5) == b""
    empty = await user().make()
    with pytest.raises(Conflict):
        await images.locate(empty)
    with pytest.raises(NotFound):
        await images.locate(ids.new())


async def test_a_snapshot_by_chunks(images: Images, user: Any) -> None:
    data = os.urandom(2_000_000)
    digest = hashlib.sha512(data).hexdigest()
    spec = SnapshotSpec(name="snap", disk_format="raw", properties={"base": "x"})
    image_id = await images.create_snapshot(CALLER, spec)
    size = 0
    while size < len(data):
        chunk = data[size : size + 700_000]
        size = await images.write(image_id, size, chunk)
        assert await images.write(image_id, size - len(chunk), chunk) == size  # sent twice
    with pytest.raises(Conflict):
        await images.write(image_id, 5_000_000, b"a gap")
    info = await images.commit(image_id, len(data), digest)
    assert (info.status, info.visibility, info.owner) == ("active", "private", "p1")
    assert await images.commit(image_id, len(data), digest) == info
    assert (await user().ask("GET", f"/images/{image_id}/file")).content == data
    await images.discard(image_id)
    await images.discard(image_id)
    with pytest.raises(NotFound):
        await images.locate(image_id)


async def test_chunks_that_went_wrong(images: Images, tmp_path: Path) -> None:
    image_id = await images.create_snapshot(CALLER, SnapshotSpec(name="s", disk_format="raw"))
    await images.write(image_id, 0, b"abc")
    with pytest.raises(Corrupt):
        await images.commit(image_id, 3, "0" * 128)
    assert (await images.get(CALLER, image_id)).status == "queued"
    assert [p for p in (tmp_path / "images").rglob("*") if p.is_file()] == []
    await images.write(image_id, 0, b"abc")
    await images.commit(image_id, 3, hashlib.sha512(b"abc").hexdigest())


async def test_a_snapshot_from_a_file(images: Images, tmp_path: Path) -> None:
    source = tmp_path / "disk"
    source.write_bytes(os.urandom(3_000_000))
    image_id = await images.create_snapshot(CALLER, SnapshotSpec(name="s", disk_format="raw"))
    with pytest.raises(NotFound):
        await images.import_file(image_id, str(tmp_path / "nothing"))
    info = await images.import_file(image_id, str(source))
    assert (info.status, info.size_bytes) == ("active", 3_000_000)
    assert await images.import_file(image_id, str(source)) == info
    lie = await images.create_snapshot(CALLER, SnapshotSpec(name="s", disk_format="qcow2"))
    with pytest.raises(Invalid):
        await images.import_file(lie, str(source))
    assert (await images.get(CALLER, lie)).status == "queued"
