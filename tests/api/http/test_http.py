# SPDX-License-Identifier: Apache-2.0
"""The HTTP layer by itself: versions, bodies, policy, faults, streams."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest

from octostack.base import limits
from octostack.base.errors import NotFound, OctoError, Unauthorized
from octostack.contracts.identity import Caller
from octostack.runtime import http
from octostack.runtime.http.app import asgi_app
from octostack.runtime.http.server import Server, listen

pytestmark = pytest.mark.anyio


class Tokens:
    async def authenticate(self, token: str) -> Caller:
        if token != "good":
            raise Unauthorized("The token is not known.")
        return Caller(user_id="u", project_id="p", roles=("member",))


class Rules:
    def check(self, name: str, target: Mapping[str, Any], caller: Caller) -> bool:
        return name == "allowed" and target.get("project_id") == caller.project_id


def fault(error: OctoError, status: int, request_id: str) -> http.Fault:
    return http.Fault(status, {"oops": {"code": error.code, "message": error.message}})


async def show(_app: None, req: http.Request) -> Any:
    if req.params["id"] == "gone":
        raise NotFound("No such thing.")
    return {"id": req.params["id"], "version": list(req.version), "user": req.caller.user_id}


async def create(_app: None, req: http.Request) -> Any:
    return {"got": req.body}


async def echo(_app: None, req: http.Request) -> http.Response:
    async def back() -> AsyncIterator[bytes]:
        async for chunk in req.stream:
            yield chunk.upper()

    data = b"".join([chunk async for chunk in back()])
    return http.Response(data, content_type="application/octet-stream")


async def broken(_app: None, req: http.Request) -> Any:
    raise ZeroDivisionError("secret detail")


async def forgot(_app: None, req: http.Request) -> Any:
    return {}


NAME = http.schema(
    {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 5}},
        "required": ["name"],
        "additionalProperties": False,
    }
)
ROUTES = (
    http.get("/", show, rule=http.ANY, until="1.0"),
    http.get("/things/{id}", show, rule="allowed"),
    http.get("/things/{thing_id}/parts/{part_id}", show, rule="refused"),
    http.get("/new/{id}", show, rule="allowed", since="1.5"),
    http.post("/things", create, rule="allowed", body=http.versions(("1.2", NAME), ("1.0", None))),
    http.put("/files/{id}", echo, rule="allowed", raw=True),
    http.get("/broken", broken, rule=http.PUBLIC),
    http.get("/forgot", forgot, rule="allowed", target="handler"),
)
API = http.Api(
    name="shop",
    prefix="/shop",
    routes=ROUTES,
    faults=fault,
    app=None,
    policy=Rules(),
    microversions=http.Microversions("shop", (1, 0), (1, 9), "X-Shop-Version"),
)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=asgi_app([API], Tokens()))
    headers = {"x-auth-token": "good"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://cloud.test/shop", headers=headers
    ) as c:
        yield c


async def test_a_handler_sees_params_version_and_caller(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/things/7", headers={"openstack-api-version": "shop 1.3"})
    assert answer.json() == {"id": "7", "version": [1, 3], "user": "u"}
    assert answer.headers["openstack-api-version"] == "shop 1.3"
    assert answer.headers["x-shop-version"] == "1.3"
    assert answer.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/things/gone", {}, 404, "not_found"),
        ("/things/1", {"x-auth-token": "bad"}, 401, "unauthorized"),
        ("/things/1", {"x-shop-version": "1.99"}, 406, "version.range"),
        ("/things/1", {"x-shop-version": "one"}, 400, "version.format"),
        ("/things/1", {"x-shop-version": "1.01"}, 400, "version.format"),
        ("/things/1/parts/2", {}, 403, "policy"),
        ("/new/1", {}, 404, "route"),
        ("/new/1", {"x-shop-version": "latest"}, 200, None),
        ("/nowhere", {}, 404, "route"),
        ("/broken", {}, 500, "internal"),
        ("/forgot", {}, 500, "internal"),
    ],
)
async def test_every_refusal_has_the_apis_form(
    client: httpx2.AsyncClient, path: str, headers: dict[str, str], status: int, code: str | None
) -> None:
    answer = await client.get(path, headers=headers)
    assert answer.status_code == status
    if code:
        assert answer.json()["oops"]["code"] == code
    assert "secret detail" not in answer.text


@pytest.mark.parametrize(
    ("data", "headers", "status", "text"),
    [
        (b'{"name": "ok"}', {}, 200, "ok"),
        (b'{"name": "too long"}', {}, 400, "Invalid input for field/attribute name"),
        (b'{"name": "ok", "x": 1}', {}, 400, "x"),
        (b'{"name": ', {}, 400, "not well-formed JSON"),
        (b"\xff\xfe", {}, 400, "not well-formed JSON"),
        (b"[" * 100_000, {}, 400, "not well-formed JSON"),
        (b'{"name": "\\ud800"}', {}, 400, "not well-formed JSON"),
        (b"", {}, 400, "missing"),
        (b'{"name": "ok"}', {"content-type": "text/html"}, 415, "text/html"),
        (b" " * (2 << 20), {}, 413, "larger"),
    ],
)
async def test_bodies(
    client: httpx2.AsyncClient, data: bytes, headers: dict[str, str], status: int, text: str
) -> None:
    headers = {"x-shop-version": "1.2", **headers}
    answer = await client.post("/things", content=data, headers=headers)
    assert answer.status_code == status
    assert text in answer.text


async def test_the_version_chooses_the_schema(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/things", content=b'{"any": "thing"}')
    assert answer.json() == {"got": {"any": "thing"}}


async def test_head_is_get_without_a_body(client: httpx2.AsyncClient) -> None:
    answer = await client.head("/things/7")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_method_the_path_has_not(client: httpx2.AsyncClient) -> None:
    answer = await client.delete("/things/7")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    sock = listen("127.0.0.1", 0)
    server = Server(asgi_app([API], Tokens()), sock)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        await server.ready()
        yield sock.getsockname()
        server.stop()


async def test_a_stream_goes_through_a_real_socket(address: tuple[str, int]) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"abc" * 10_000

    async with httpx2.AsyncClient(headers={"x-auth-token": "good"}) as client:
        url = f"http://{address[0]}:{address[1]}/shop/files/1"
        answer = await client.put(url, content=parts())
    assert answer.content == b"ABC" * 1_000_000


async def test_a_body_cut_short_is_not_taken_for_whole(address: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"PUT /shop/files/1 HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good\r\n")
    writer.write(b"Content-Length: 100\r\n\r\nonly this")
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    assert b" 200 " not in answer.split(b"\r\n")[0]


async def test_bytes_that_are_not_http(address: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400")


async def test_a_head_without_end_is_cut_off(address: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET / HTTP/1.1\r\n" + b"X-A: aaaaaaaa\r\n" * 10_000)
    try:
        answer = await reader.read()
    except ConnectionResetError:  # what we still had to say was not read: as good an end
        answer = b""
    writer.close()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")


async def test_a_client_that_trickles_its_head_is_left(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET / HTTP/1.1\r\nX-A: ")
    assert await reader.read() == b""
    writer.close()


async def test_a_client_that_stalls_in_its_body_is_told(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "READ_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"POST /shop/things HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good\r\n")
    writer.write(b"Content-Length: 100\r\nConnection: close\r\n\r\n{")
    answer = await reader.readline()
    writer.close()
    assert b" 408 " in answer


def test_schema_errors_never_repeat_a_secret() -> None:
    body = http.schema({"type": "object", "properties": {"password": {"maxLength": 3}}})
    with pytest.raises(OctoError) as caught:
        body.check({"password": "hunter2"})
    assert "hunter2" not in json.dumps(str(caught.value.message) + str(caught.value.details))
