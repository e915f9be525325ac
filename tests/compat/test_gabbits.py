# SPDX-License-Identifier: Apache-2.0
"""OpenStack Placement's own functional tests, sent to ours: what differs is what the list says.

Its tests are requests in files ("gabbits"); `gabbits/send.py` sends them from the environment that
has Placement in it. A token there is a user and a project as they are, and the roles a header.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octostack.runtime.http.app import asgi_app
from octostack.runtime.http.server import Server, listen
from octostack.testing import identity
from octostack.testing.cloud import running

pytestmark = [pytest.mark.compat, pytest.mark.anyio, pytest.mark.timeout(1200)]

HERE = Path(__file__).with_name("gabbits")
EXPECTED = HERE / "expected.txt"
PYTHON = Path(__file__).parents[2] / ".venv-placement" / "bin" / "python"
FEW = (
    "allocation-candidates",
    "basic-http",
    "inventory",
    "reshaper",
    "traits-policy",
    "usage-secure-rbac",
)


class Placement:
    """A Placement whose state can be thrown away, behind one port."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = AsyncExitStack()
        self._app: Any = None
        self._count = 0

    async def anew(self, policy: str) -> None:
        """An empty one in the place of that of before, with this file of rules over its own."""
        await self._stack.aclose()
        self._count += 1
        directory = self._directory / str(self._count)
        if policy:
            (directory / "policy").mkdir(parents=True)
            (directory / "policy" / "placement.yaml").write_text(policy)
        extra = [("identity", identity.build)]
        cloud = await self._stack.enter_async_context(
            running(directory, ["placement"], extra=extra)
        )
        apis = [msgspec.structs.replace(a, prefix="") for s in cloud.cloud.services for a in s.apis]
        self._app = asgi_app(apis, cloud.cloud)

    async def close(self) -> None:
        """The last one ends."""
        await self._stack.aclose()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/anew":
            await self._app(scope | {"headers": _headers(scope["headers"])}, receive, send)
            return
        body = (await receive())["body"]
        await self.anew(body.decode())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def _headers(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Who asks, from Placement's way to say it without an Identity to ours."""
    named = dict(given)
    token = named.pop(b"x-auth-token", None)
    if token is None:
        return given
    user, _, project = token.decode().partition(":")
    project = named.pop(b"x-project-id", project.encode()).decode()
    # what is for services alone was for administrators in the rules that these tests are for
    roles = named.pop(b"x-roles", b"admin,service" if user == "admin" else b"").decode()
    scope = "-" if named.pop(b"openstack-system-scope", None) else project or user
    return [*named.items(), (b"x-auth-token", f"plain/{user}/{scope}/{roles}".encode())]


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[str]:
    """``async with served(tmp_path) as url``."""
    placement = Placement(directory)
    socket = listen("127.0.0.1", 0)
    server = Server(placement, socket)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(server.run())
        await server.ready()
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:
            server.stop()
            await running
            await placement.close()
            socket.close()


async def _outcomes(directory: Path, files: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    if not PYTHON.exists():
        pytest.skip("OpenStack's Placement is not installed: run `make setup`")
    async with served(directory) as url:
        process = await asyncio.create_subprocess_exec(
            PYTHON, HERE / "send.py", url, *files, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    assert process.returncode == 0
    told = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    return {one["test"]: (one["status"], one["reason"]) for one in told}


def _expected() -> dict[str, str]:
    lines = [line for line in EXPECTED.read_text().splitlines() if not line.startswith("#")]
    pairs = [line.removeprefix("fail ").partition("  # ")[::2] for line in lines]
    assert all(
        line.startswith("fail ") and why for line, (_, why) in zip(lines, pairs, strict=True)
    )
    return dict(pairs)


def _compare(outcomes: dict[str, tuple[str, str]], *, whole: bool) -> None:
    expected = _expected()
    failed = {name: why for name, (status, why) in outcomes.items() if status == "fail"}
    assert {name: why for name, why in failed.items() if name not in expected} == {}
    gone = set(expected) - set(failed) if whole else set(expected) & set(outcomes) - set(failed)
    assert not gone, "listed to fail, and it does not: take it from the list"


async def test_some_files_end_as_listed(tmp_path: Path) -> None:
    outcomes = await _outcomes(tmp_path, FEW)
    assert len([1 for status, _ in outcomes.values() if status == "pass"]) > 150
    _compare(outcomes, whole=False)


@pytest.mark.skipif("COMPAT_FULL" not in os.environ, reason="a minute's work: `make compat`")
async def test_all_files_end_as_listed(tmp_path: Path) -> None:
    outcomes = await _outcomes(tmp_path, ())
    if "GABBITS_TOLD" in os.environ:
        Path(os.environ["GABBITS_TOLD"]).write_text(json.dumps(outcomes, indent=1))
    assert len([1 for status, _ in outcomes.values() if status == "pass"]) > 1000
    _compare(outcomes, whole=True)
