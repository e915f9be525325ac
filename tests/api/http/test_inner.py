# SPDX-License-Identifier: Apache-2.0
"""An API asked by another part: the routes, rules and bodies are those of HTTP."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from octostack.base.errors import Forbidden, Invalid, NotFound, OctoError
from octostack.contracts.api import ApiCall
from octostack.contracts.identity import Caller
from octostack.runtime import http

pytestmark = pytest.mark.anyio
CALLER = Caller(user_id="u", project_id="p", roles=("member",), request_id="req-1")


class Rules:
    def check(self, name: str, target: Mapping[str, Any], caller: Caller) -> bool:
        return name == "allowed" and target.get("project_id") == caller.project_id


async def show(_app: None, req: http.Request) -> Any:
    return {"id": req.params["id"], "query": req.query.pairs, "by": req.caller.user_id,
            "request": req.request_id}  # fmt: skip


async def special(_app: None, _req: http.Request) -> Any:
    return http.Response({"special": True}, status=202)


async def create(_app: None, req: http.Request) -> Any:
    return {"got": req.body, "type": req.headers["content-type"]}


async def stream(_app: None, _req: http.Request) -> http.Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    return http.Response(stream=chunks())


async def nothing(_app: None, _req: http.Request) -> None:
    return None


async def forgot(_app: None, _req: http.Request) -> Any:
    return {}


NAME = http.schema({"type": "object", "properties": {"name": {"type": "string"}},
                    "required": ["name"], "additionalProperties": False})  # fmt: skip
API = http.Api(
    name="things",
    prefix="/things",
    faults=lambda e, status, _id: http.Fault(status, e.message),
    app=None,
    policy=Rules(),
    routes=(
        http.get("/things/{id}", show, rule="allowed"),
        http.get("/things/special", special, rule=http.ANY),
        http.post("/things", create, rule="allowed", body=NAME),
        http.patch("/things/{id}", create, rule="allowed", content_types=("text/patch",)),
        http.get("/secrets", show, rule="forbidden"),
        http.get("/files/{path:path}", stream, rule="allowed"),
        http.put("/files/{path:path}", create, rule="allowed", raw=True),
        http.delete("/things/{id}", nothing, rule="allowed"),
        http.get("/forgetful", forgot, rule="allowed", target="handler"),
    ),
)


async def ask(path: str, method: str = "GET", body: Any = None, **more: Any) -> Any:
    data = b"" if body is None else json.dumps(body).encode()
    call = ApiCall(method=method, path=path, body=data, **more)
    answer = await http.Inner(API).ask(CALLER, call)
    return json.loads(answer) if answer else None


async def test_what_is_there() -> None:
    shown = await ask("/things/7", query=(("a", "1"), ("a", "2 &"), ("b", "")))
    assert shown == {"id": "7", "query": [["a", "1"], ["a", "2 &"], ["b", ""]], "by": "u",
                     "request": "req-1"}  # fmt: skip
    assert await ask("/things/special") == {"special": True}  # a literal before a parameter
    made = await ask("/things", "POST", {"name": "n"})
    assert made == {"got": {"name": "n"}, "type": "application/json"}
    assert (await ask("/things/7", "PATCH", [1], content_type="text/patch"))["type"] == "text/patch"
    assert await ask("/things/7", "DELETE") is None


@pytest.mark.parametrize(
    ("path", "method", "body", "error", "status"),
    [
        ("/nothing", "GET", None, NotFound, None),
        ("/things/7/more", "GET", None, NotFound, None),
        ("/things/7", "PUT", {}, Invalid, 405),
        ("/secrets", "GET", None, Forbidden, None),
        ("/things", "POST", None, Invalid, None),
        ("/things", "POST", {"name": 1}, Invalid, None),
        ("/files/a/b", "GET", None, Invalid, None),  # bytes are not for this way
        ("/files/a/b", "PUT", {}, Invalid, None),
    ],
)
async def test_what_is_refused(
    path: str, method: str, body: Any, error: type[OctoError], status: int | None
) -> None:
    with pytest.raises(error) as refused:
        await ask(path, method, body)
    assert refused.value.details.get("status") == status


async def test_a_handler_must_have_checked_its_rule() -> None:
    with pytest.raises(AssertionError):
        await ask("/forgetful")
