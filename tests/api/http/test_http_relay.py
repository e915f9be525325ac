# SPDX-License-Identifier: Apache-2.0
"""A front and a part behind it, both on real sockets: what passes, at whose pace, what is said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from octostack.runtime.http import Fault
from octostack.runtime.http.relay import Relay
from octostack.runtime.http.server import Server, listen

pytestmark = pytest.mark.anyio

PIECE = bytes(65536)
BUFFERS_MAX = 24 << 20  # what sockets of the system and one piece here and there may hold
TOO_MUCH = 256 << 20


class Part:
    """What stands behind: an application that shows what it got and can be held up."""

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}
        self.go = asyncio.Event()
        self.got_bytes = self.sent_bytes = 0
        self.left = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._echo(scope, receive, send)
            return
        self.seen = scope
        await getattr(self, scope["path"].strip("/").replace("/", "_"))(receive, send)

    async def part_look(self, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        headers = [(b"x-twice", b"1"), (b"x-twice", b"2"), (b"content-type", b"text/x")]
        await send({"type": "http.response.start", "status": 203, "headers": headers})
        await send({"type": "http.response.body", "body": b"got " + body})

    async def part_take(self, receive: Any, send: Any) -> None:
        """Takes nothing until told to, then all of it."""
        await self.go.wait()
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                self.left.set()
                return
            self.got_bytes += len(event.get("body", b""))
            more = event.get("more_body", False)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def part_give(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while self.sent_bytes < TOO_MUCH:
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            self.sent_bytes += len(PIECE)
        await send({"type": "http.response.body", "body": b""})

    async def part_endless(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()

    async def part_break(self, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"10")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ConnectionAbortedError

    async def _echo(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen = scope
        await receive()
        if scope["path"] == "/part/closed":
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
        while (event := await receive())["type"] == "websocket.receive":
            if event.get("text") == "end":
                await send({"type": "websocket.close", "code": 4001, "reason": "over"})
                return
            kind = "text" if event.get("text") is not None else "bytes"
            await send({"type": "websocket.send", kind: event[kind]})
        self.seen = {**scope, "code": event["code"]}
        self.left.set()


def fault(error: Any, status: int, _request_id: str) -> Fault:
    return Fault(status, {"own form": error.message})


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    with listen("127.0.0.1", 0) as sock:
        server = Server(app, sock)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run())
            await server.ready()
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
            server.stop()


@pytest.fixture
async def part() -> Part:
    return Part()


@pytest.fixture
async def front(part: Part) -> AsyncIterator[str]:
    async with serving(part) as behind:
        relay = Relay("part", [behind], fault)
        async with serving(relay) as url:
            yield url
        await relay.close()


@pytest.fixture
async def client(front: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=front, timeout=30, trust_env=False) as client:
        yield client


async def test_a_request_passes_as_it_is(client: httpx2.AsyncClient, part: Part) -> None:
    headers = {"x-auth-token": "t", "connection": "keep-alive, x-own", "x-own": "1"}
    answer = await client.post("/part/l%6Fok?a=%2F&b=%20", content=b"body", headers=headers)
    assert (answer.status_code, answer.text) == (203, "got body")
    assert answer.headers.get_list("x-twice") == ["1", "2"]
    assert part.seen["raw_path"] == b"/part/l%6Fok"
    assert part.seen["query_string"] == b"a=%2F&b=%20"
    got = dict(part.seen["headers"])
    assert (got[b"x-auth-token"], got[b"content-length"]) == (b"t", b"4")
    assert got[b"host"].decode() == client.base_url.netloc.decode()
    assert b"x-own" not in got and b"transfer-encoding" not in got


async def test_a_request_without_a_body_has_none(client: httpx2.AsyncClient, part: Part) -> None:
    assert (await client.get("/part/look")).text == "got "
    names = {name for name, _ in part.seen["headers"]}
    assert not names & {b"content-length", b"transfer-encoding"}
    assert (await client.head("/part/look")).text == ""


async def filled(socket: asyncio.StreamWriter) -> int:
    """How many bytes go into a connection that nobody reads at the other end."""
    sent = 0
    while sent < TOO_MUCH:
        socket.write(b"10000\r\n" + PIECE + b"\r\n")
        try:
            async with asyncio.timeout(1.0):
                await socket.drain()
        except TimeoutError:
            break
        sent += len(PIECE)
    return sent


async def test_an_upload_waits_for_who_takes_it(front: str, part: Part) -> None:
    host, port = front.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"PUT /part/take HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    sent = await filled(writer)
    assert sent < BUFFERS_MAX
    part.go.set()
    writer.write(b"0\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 204 No Content\r\n"
    assert part.got_bytes == sent + len(PIECE)  # the piece at which it stuck went too
    writer.close()
    await writer.wait_closed()


async def test_a_download_waits_for_who_takes_it(client: httpx2.AsyncClient, part: Part) -> None:
    async with client.stream("GET", "/part/give") as answer:
        before = -1
        while part.sent_bytes != before or not before:  # until it stands still
            before = part.sent_bytes
            await asyncio.sleep(0.3)
        assert 0 < part.sent_bytes < BUFFERS_MAX
        got = 0
        async for piece in answer.aiter_raw():
            got += len(piece)
    assert got == TOO_MUCH


async def test_a_client_that_leaves_is_told_of(front: str, part: Part) -> None:
    async with (
        httpx2.AsyncClient(trust_env=False, timeout=30) as client,
        client.stream("GET", f"{front}/part/endless") as answer,
    ):
        assert await anext(answer.aiter_raw()) == b"a"
    await asyncio.wait_for(part.left.wait(), 30)


async def test_an_upload_that_breaks_off_breaks_off_behind(front: str, part: Part) -> None:
    part.go.set()
    host, port = front.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"PUT /part/take HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nabc")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(part.left.wait(), 30)


async def test_a_part_that_breaks_off_is_not_taken_for_whole(client: httpx2.AsyncClient) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/part/break")


async def test_a_part_that_is_away_is_told_of_in_its_own_form() -> None:
    with listen("127.0.0.1", 0) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    relay = Relay("part", [nobody], fault)
    async with serving(relay) as url, httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{url}/part/look")
        assert answer.status_code == 503
        assert answer.json() == {"own form": "The part service cannot be reached."}
        assert answer.headers["retry-after"] == "1"
        with pytest.raises(InvalidStatus):
            await connect(f"{url.replace('http', 'ws')}/part/look", proxy=None)
    await relay.close()


async def test_one_of_several_that_is_away_is_passed_over(part: Part) -> None:
    with listen("127.0.0.1", 0) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    async with serving(part) as behind:
        relay = Relay("part", [nobody, behind], fault)
        async with serving(relay) as url, httpx2.AsyncClient(trust_env=False) as client:
            answers = [await client.post(f"{url}/part/look", content=b"x") for _ in range(4)]
            assert {answer.text for answer in answers} == {"got x"}
        await relay.close()


async def test_a_websocket_passes(front: str, part: Part) -> None:
    url = front.replace("http", "ws") + "/part/socket?token=t"
    headers = {"cookie": "a=b"}
    options: dict[str, Any] = {"subprotocols": ["binary"], "origin": "http://o", "proxy": None}
    async with connect(url, additional_headers=headers, **options) as socket:
        assert socket.subprotocol == "binary"
        for message in ("text", b"\x00\xff", bytes(1 << 20)):
            await socket.send(message)
            assert await socket.recv() == message
        got = dict(part.seen["headers"])
        assert (got[b"cookie"], got[b"origin"]) == (b"a=b", b"http://o")
        assert part.seen["query_string"] == b"token=t"
        await socket.close(4002)
    await asyncio.wait_for(part.left.wait(), 30)
    assert part.seen["code"] == 4002


async def test_a_websocket_is_closed_from_behind(front: str) -> None:
    url = front.replace("http", "ws")
    async with connect(f"{url}/part/socket", subprotocols=["binary"], proxy=None) as socket:  # type: ignore[list-item]
        await socket.send("end")
        with pytest.raises(ConnectionClosed) as end:
            await socket.recv()
        assert end.value.rcvd is not None
        assert (end.value.rcvd.code, end.value.rcvd.reason) == (4001, "over")
    with pytest.raises(InvalidStatus):
        await connect(f"{url}/part/closed", proxy=None)
