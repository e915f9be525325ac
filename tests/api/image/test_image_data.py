# SPDX-License-Identifier: Apache-2.0
"""The bytes of images: up, down, in part, refused, cut short, killed."""

import hashlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from octostack.services.image.core.quota import Limits
from octostack.services.image.service import Config
from octostack.testing import backends, identity

pytestmark = pytest.mark.anyio

SIZE_MAX = 8 << 20


@pytest.fixture
def image_config() -> Config:
    return Config(size_max_bytes=SIZE_MAX, limits=Limits(image_size_total=5, image_stage_total=3))


def leavings(tmp_path: Path) -> list[str]:
    """Every file with bytes of images."""
    return [p.name for p in (tmp_path / "images").rglob("*") if p.is_file()]


async def test_up_and_down(user: Any, tmp_path: Path) -> None:
    member, data = user(), os.urandom(3_000_000)
    image_id = await member.filled(data)
    shown = await member.show(image_id)
    assert (shown["status"], shown["size"], shown["virtual_size"]) == (
        "active", len(data), len(data),
    )  # fmt: skip
    assert shown["checksum"] == hashlib.md5(data).hexdigest()
    assert shown["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert shown["os_hash_algo"] == "sha512"
    assert shown["stores"] == "files"
    # as openstacksdk changes an image
    patched = await member.patch(image_id, ("add", "colour", "blue"), ("remove", "stores", None))
    assert patched.json()["colour"] == "blue"
    assert (await member.patch(image_id, ("replace", "stores", "moon"))).status_code == 403
    got = await member.ask("GET", f"/images/{image_id}/file")
    assert got.content == data
    assert got.headers["content-md5"] == shown["checksum"]
    assert (await member.upload(image_id, b"again")).status_code == 409
    assert len(leavings(tmp_path)) == 1
    await member.ask("DELETE", f"/images/{image_id}")
    assert leavings(tmp_path) == []


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [
        ("bytes=0-4", 206, slice(0, 5)),
        ("bytes=2000000-", 206, slice(2_000_000, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=9999999-", 416, None),
        ("bytes=0-1,4-5", 400, None),
    ],
)
async def test_parts(user: Any, header: str, status: int, part: slice | None) -> None:
    member, data = user(), os.urandom(2_500_000)
    image_id = await member.filled(data)
    got = await member.ask("GET", f"/images/{image_id}/file", headers={"range": header})
    assert got.status_code == status
    if part is not None:
        assert got.content == data[part]
        assert got.headers["content-range"].endswith(f"/{len(data)}")


async def test_no_data_yet_and_none_at_all(user: Any) -> None:
    member = user()
    image_id = await member.make()
    assert (await member.ask("GET", f"/images/{image_id}/file")).status_code == 204
    assert (await member.upload(image_id, b"")).status_code == 204
    shown = await member.show(image_id)
    assert (shown["status"], shown["size"]) == ("active", 0)
    assert (await member.ask("GET", f"/images/{image_id}/file")).content == b""


def qcow2(virtual_size: int = 1 << 20, backing: bytes = b"") -> bytes:
    """The first clusters of a qcow2 image, maybe upon another file."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", 3, 104 if backing else 0, len(backing), 16, virtual_size, 0, 1, 3 << 16,
          1 << 16, 1, 0, 0, 0, 0, 0, 4, 104),
    )  # fmt: skip
    return (header + backing).ljust(4 << 16, b"\0")


@pytest.mark.parametrize(
    ("data", "disk_format", "status"),
    [
        (qcow2(), "qcow2", 204),
        (qcow2(), "raw", 415),
        (qcow2(backing=b"/etc/passwd"), "qcow2", 415),
        (qcow2()[:40], "qcow2", 415),
        (b"nothing of the kind" * 100, "qcow2", 415),
        (b"nothing of the kind" * 100, "vmdk", 415),
        (bytes(1 << 16), "raw", 204),
    ],
)
async def test_what_lies_is_refused(
    user: Any, tmp_path: Path, data: bytes, disk_format: str, status: int
) -> None:
    member = user()
    image_id = await member.make(disk_format=disk_format)
    answer = await member.upload(image_id, data)
    assert answer.status_code == status, answer.text
    shown = await member.show(image_id)
    assert shown["status"] == ("active" if status == 204 else "queued")
    if status == 204:
        assert shown["virtual_size"] == (1 << 20 if disk_format == "qcow2" else len(data))
    else:
        assert leavings(tmp_path) == []
        assert (await member.upload(image_id, qcow2())).status_code in (204, 415)


async def test_too_much_is_refused(user: Any, tmp_path: Path) -> None:
    member = user()
    image_id = await member.make()
    told = await member.upload(image_id, b"x", **{"x-openstack-image-size": str(SIZE_MAX + 1)})
    assert told.status_code == 413

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    assert (await member.upload(image_id, endless())).status_code == 413
    assert (await member.show(image_id))["status"] == "queued"
    over_quota = await member.upload(image_id, bytes(6 << 20))
    assert over_quota.status_code == 413
    assert "image_size_total" in over_quota.text
    assert leavings(tmp_path) == []


async def test_headers_that_are_wrong(user: Any) -> None:
    member = user()
    image_id = await member.make()
    path = f"/image/v2/images/{image_id}/file"
    assert (await member.http.put(path, content=b"x")).status_code == 415
    for size, status in (("7", 400), ("x", 400), ("-1", 400), ("9" * 30, 400)):
        answer = await member.upload(image_id, b"x", **{"x-openstack-image-size": size})
        assert answer.status_code == status, size
    bare = await member.ask("POST", "/images", {"name": "no formats"})
    refused = await member.upload(bare.json()["id"], b"x")
    assert refused.status_code == 400
    assert "disk_format, container_format must be set" in refused.text


async def test_deleted_while_it_arrives(user: Any, tmp_path: Path) -> None:
    member = user()
    image_id = await member.make()

    async def body() -> AsyncIterator[bytes]:
        yield bytes(2 << 20)
        assert (await member.ask("DELETE", f"/images/{image_id}")).status_code == 204
        yield bytes(1)

    answer = await member.upload(image_id, body())
    assert answer.status_code == 410, answer.text
    assert leavings(tmp_path) == []


async def test_one_upload_at_a_time(user: Any) -> None:
    member = user()
    image_id = await member.make()
    statuses = []

    async def body() -> AsyncIterator[bytes]:
        yield bytes(1 << 20)
        statuses.append((await member.upload(image_id, b"second")).status_code)
        yield b"."

    assert (await member.upload(image_id, body())).status_code == 204
    assert statuses == [409]


async def test_deactivated_data_is_withheld(user: Any) -> None:
    member = user()
    image_id = await member.filled(b"secret")
    path = f"/images/{image_id}"
    assert (await member.ask("POST", f"{path}/actions/deactivate")).status_code == 204
    assert (await member.ask("POST", f"{path}/actions/deactivate")).status_code == 204
    assert (await member.ask("GET", f"{path}/file")).status_code == 403
    assert (await user("admin", "p2").ask("GET", f"{path}/file")).content == b"secret"
    assert (await member.ask("POST", f"{path}/actions/reactivate")).status_code == 204
    assert (await member.ask("GET", f"{path}/file")).content == b"secret"
    empty = await member.make()
    assert (await member.ask("POST", f"/images/{empty}/actions/deactivate")).status_code == 403


SERVER = """
import asyncio, sys
from pathlib import Path
from octostack.runtime.http.server import Server, listen
from octostack.testing import backends, identity
from octostack.testing.cloud import running

async def main():
    extra = [("identity", identity.build)]
    place = {"database_url": sys.argv[2]}
    async with running(Path(sys.argv[1]), ["image"], extra=extra, **place) as cloud:
        sock = listen("127.0.0.1", 0)
        print(sock.getsockname()[1], flush=True)
        await Server(cloud.cloud.front, sock).run()

asyncio.run(main())
"""


@contextmanager
def serving(state_dir: Path) -> Iterator[int]:
    """A process that serves Image from `state_dir`, by its port; killed at the end."""
    source = Path(__file__).parents[3] / "src"
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(state_dir), backends.database_url(state_dir)],
        # It is killed, and a broker of its own would live on.
        env=os.environ | {"PYTHONPATH": str(source), backends.BUS: ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def request(port: int, method: str, path: str, body: bytes = b"", size: int = -1) -> socket.socket:
    """A request on a socket of its own; only `body` of `size` bytes is sent."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    kind = "application/octet-stream" if path.endswith("/file") else "application/json"
    head = (
        f"{method} /image/v2{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        f"x-auth-token: {identity.token('member')}\r\ncontent-type: {kind}\r\n"
        f"content-length: {len(body) if size < 0 else size}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def answer(port: int, method: str, path: str, body: bytes = b"") -> str:
    """The whole answer to a request."""
    with request(port, method, path, body) as connection:
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()


def new_image(port: int) -> str:
    made = answer(port, "POST", "/images", b'{"disk_format": "raw", "container_format": "bare"}')
    return made.partition('"id":"')[2][:36]


def shows(port: int, image_id: str, status: str) -> bool:
    """Does the image come to that status? Each turn is a request: no need to wait in between."""
    wanted = f'"status":"{status}"'
    return any(wanted in answer(port, "GET", f"/images/{image_id}") for _ in range(5000))


async def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as port:
        image_id = new_image(port)
        with request(port, "PUT", f"/images/{image_id}/file", bytes(3 << 20), 9 << 20):
            assert shows(port, image_id, "saving")
        assert shows(port, image_id, "queued")
        assert any(not leavings(tmp_path) or not new_image(port) for _ in range(5000))


async def test_killed_in_the_middle_of_an_upload(tmp_path: Path) -> None:
    with serving(tmp_path) as port:
        image_id = new_image(port)
        with request(port, "PUT", f"/images/{image_id}/file", bytes(3 << 20), 9 << 20):
            assert shows(port, image_id, "saving")
            assert any(leavings(tmp_path) or not new_image(port) for _ in range(5000))
    # The end of `serving` is a SIGKILL.
    assert len(leavings(tmp_path)) == 1
    with serving(tmp_path) as port:
        assert leavings(tmp_path) == []
        assert shows(port, image_id, "queued")
        assert " 204 " in answer(port, "PUT", f"/images/{image_id}/file", b"whole")
