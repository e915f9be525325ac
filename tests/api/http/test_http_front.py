# SPDX-License-Identifier: Apache-2.0
"""APIs that open one after another at one address."""

import httpx2
import pytest

from octostack.apps import parts
from octostack.base.errors import Unauthorized
from octostack.contracts.identity import Caller
from octostack.runtime import http
from octostack.runtime.http.front import Front

pytestmark = pytest.mark.anyio


class Nobody:
    async def authenticate(self, token: str) -> Caller:
        raise Unauthorized("No token is known yet.")


async def _show(_app: None, _req: http.Request) -> dict[str, str]:
    return {"is": "open"}


@pytest.fixture
def front() -> Front:
    """A front that expects every service."""
    made = Front(Nobody())
    for part in parts.SERVICES:
        for prefix in part.prefixes:
            made.expect(part.name, prefix, part.faults)
    return made


def _client(front: Front) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=front)
    return httpx2.AsyncClient(transport=transport, base_url="http://cloud.test")


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/networking/v2.0/ports", lambda body: body["NeutronError"]["message"]),
        ("/compute/v2.1/servers", lambda body: body["serviceUnavailable"]["message"]),
        ("/compute", lambda body: body["serviceUnavailable"]["message"]),
        ("/placement/traits", lambda body: body["errors"][0]["detail"]),
    ],
)
async def test_a_part_that_is_on_its_way_says_so_in_its_own_form(front, path, where) -> None:
    async with _client(front) as client:
        for method in ("GET", "POST"):
            answer = await client.request(method, path)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert "starting" in where(answer.json())


async def test_images_tell_it_in_their_form_of_text(front) -> None:
    async with _client(front) as client:
        answer = await client.get("/image/v2/images")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"].startswith("text/html")
    assert "starting" in answer.text


async def test_an_api_answers_from_when_it_opens(front) -> None:
    routes = (http.get("/v2/images", _show, rule=http.PUBLIC),)
    api = http.Api(
        name="image", prefix="/image", routes=routes, faults=parts.SERVICES[2].faults, app=None
    )
    async with _client(front) as client:
        assert (await client.get("/image/v2/images")).status_code == 503
        front.open([api])
        assert (await client.get("/image/v2/images")).json() == {"is": "open"}
        assert (await client.get("/image/v3/images")).status_code == 401
        assert (await client.get("/compute/")).status_code == 503


async def test_what_no_part_has_is_not_found(front) -> None:
    async with _client(front) as client:
        for path in ("/", "/nowhere", "/image2/v2/images"):
            assert (await client.get(path)).status_code == 404
