# SPDX-License-Identifier: Apache-2.0
"""Is this process able to do its work? Named checks, asked together, each within a time.

``GET /healthz`` needs no token and is asked every few seconds by whoever supervises processes or
balances load: 200 when every check passes, else 503. What it tells a stranger is the check's name
and the error's code, never its text.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from octostack.base import log
from octostack.base.errors import OctoError, Unavailable
from octostack.runtime import http

CHECK_TIMEOUT_S = 2.0

Check = Callable[[], Awaitable[None]]

_log = log.get("health")


class Result(msgspec.Struct, frozen=True):
    """How one check went; `code` is the error's."""

    name: str
    ok: bool
    code: str = ""


class Health:
    """The checks of one process."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._failing: set[str] = set()

    def add(self, name: str, check: Check) -> None:
        """Ask `check` too; it raises when something is wrong."""
        assert name not in self._checks, f"two checks are called {name}"
        self._checks[name] = check

    async def report(self) -> list[Result]:
        """Every check's result, by name."""
        names = sorted(self._checks)
        results = await asyncio.gather(*(self._ask(name) for name in names))
        failing = {result.name for result in results if not result.ok}
        for name in failing ^ self._failing:
            _log.warning("health changed", check=name, ok=name not in failing)
        self._failing = failing
        return results

    async def _ask(self, name: str) -> Result:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self._checks[name]()
        except TimeoutError:
            return Result(name, False, "timeout")
        except OctoError as error:
            return Result(name, False, error.code)
        except Exception:  # whatever a check does, the others are told
            _log.exception("check crashed", check=name)
            return Result(name, False, "internal")
        return Result(name, True)


def api(health: Health) -> http.Api:
    """``GET /healthz``."""
    return http.Api(
        name="health",
        prefix="/healthz",
        routes=(http.get("", _show, rule=http.PUBLIC),),
        faults=_fault,
        app=health,
    )


async def _show(health: Health, _req: http.Request) -> http.Response:
    results = await health.report()
    ok = all(result.ok for result in results)
    checks: dict[str, Any] = {r.name: "ok" if r.ok else r.code for r in results}
    body = {"status": "ok" if ok else "failing", "checks": checks}
    return http.Response(body, status=200 if ok else 503)


def _fault(error: OctoError, status: int, _request_id: str) -> http.Fault:
    return http.Fault(status, {"code": error.code, "message": error.message})


def loop_check(name: str, failures: Callable[[], int], most: int = 3) -> Check:
    """Fails when a loop has failed more than `most` times in a row."""

    async def check() -> None:
        if failures() > most:
            raise Unavailable(f"{name} keeps failing.", code="loop.failing")

    return check
