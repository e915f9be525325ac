# SPDX-License-Identifier: Apache-2.0
"""The host's image cache: once, whole, checked, bounded. Needs qemu-img, and no root."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from octostack.base.errors import Corrupt, Invalid, NotFound
from octostack.contracts import image as contract
from octostack.contracts.compute_agent import ImageRef
from octostack.engines.virt.qemu.images import Images
from octostack.engines.virt.qemu.layout import Layout
from octostack.testing import virt
from octostack.wire.diskformats import overlay

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.machine,
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img"),
]

MIB = 1 << 20


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "virt")
    layout.make()
    return layout


@pytest.fixture(params=[True, False], ids=["same-host", "by-chunks"])
async def service(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[virt.FileImages]:
    yield virt.FileImages(tmp_path, local=request.param)


async def served(stack_dir: Path, service: virt.FileImages) -> AsyncIterator[contract.Images]:
    async with virt.runtime(stack_dir) as runtime:
        await runtime.bus.serve(contract.Images, service)
        yield runtime.bus.stub(contract.Images)


def make(path: Path, fmt: str) -> Path:
    command = ["qemu-img", "create", "-q", "-f", fmt, str(path), "16M"]
    subprocess.run(command, check=True)
    return path


async def test_fetched_once_by_many(tmp_path: Path, layout: Layout, service) -> None:
    data = tmp_path / "data"
    data.write_bytes(bytes(range(256)) * (9 * MIB // 256))  # more than one chunk
    image = service.add(data, "raw")
    async for source in served(tmp_path, service):
        cache = Images(layout, source, 1 << 30)
        paths = await asyncio.gather(*(cache.ensure(image) for _ in range(8)))
        assert len(set(paths)) == 1
        assert paths[0].read_bytes() == data.read_bytes()
        assert service.reads in (0, 4)  # 4 + 4 + 1 MiB, and the end
        assert [p.name for p in layout.images.iterdir()] == [f"{image.sha512}.raw"]
        assert paths[0].stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize(
    ("fmt", "name"), [("vmdk", "vmdk"), ("vdi", "vdi"), ("vhdx", "vhdx"), ("vpc", "vhd")]
)
async def test_other_formats_become_qcow2(tmp_path, layout, service, fmt: str, name: str) -> None:
    image = service.add(make(tmp_path / "disk", fmt), name)
    async for source in served(tmp_path, service):
        path = await Images(layout, source, 1 << 30).ensure(image)
        assert path.name == f"{image.sha512}.qcow2"
        assert path.read_bytes()[:4] == b"QFI\xfb"


async def test_what_is_wrong_leaves_nothing(tmp_path: Path, layout: Layout, service) -> None:
    make(tmp_path / "disk", "qcow2")
    image = service.add(tmp_path / "disk", "qcow2")
    (tmp_path / "backed").write_bytes(overlay.make(MIB, "/etc/passwd", "raw"))
    wrong: list[tuple[ImageRef, type[Exception]]] = [
        (msgspec.structs.replace(image, sha512="1" * 128), Corrupt),
        (msgspec.structs.replace(image, size_bytes=1), Corrupt),
        (msgspec.structs.replace(image, id="gone", sha512="2" * 128), NotFound),
        (msgspec.structs.replace(image, disk_format="raw"), Invalid),
        (service.add(tmp_path / "backed", "qcow2"), Invalid),
    ]
    async for source in served(tmp_path, service):
        cache = Images(layout, source, 1 << 30)
        for ref, error in wrong:
            with pytest.raises(error):
                await cache.ensure(ref)
            assert list(layout.images.iterdir()) == []


async def test_the_bound_spares_what_is_used(tmp_path: Path, layout: Layout, service) -> None:
    refs = []
    for name in "abc":
        path = tmp_path / name
        path.write_bytes(name.encode() * MIB)
        refs.append(service.add(path, "raw"))
    async for source in served(tmp_path, service):
        cache = Images(layout, source, 3 * MIB // 2)
        for ref in refs:
            await cache.ensure(ref)
        machine = layout.machines / "m"
        machine.mkdir()
        (machine / "root-1.qcow2").write_bytes(
            overlay.make(MIB, f"../../images/{refs[1].sha512}.raw", "raw")
        )
        gone = cache.evict([refs[2]])
        assert gone == [f"{refs[0].sha512}.raw"]
        assert cache.evict([refs[2]]) == []
