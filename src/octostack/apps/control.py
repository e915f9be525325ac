# SPDX-License-Identifier: Apache-2.0
"""What the `octostack` command asks of a running cloud, over a socket in the state directory.

Whoever may open the socket (mode 0600) owns the installation: no token is asked for.
"""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import msgspec

from octostack.apps.cloud import Cloud
from octostack.base.errors import OctoError, Unavailable
from octostack.contracts.compute import Compute
from octostack.contracts.network import Network
from octostack.contracts.network_agent import NetworkAgent, TraceRequest
from octostack.runtime import http, metrics
from octostack.runtime.http.app import asgi_app
from octostack.runtime.http.server import Server

TIMEOUT_S = 120.0


async def serve(cloud: Cloud, path: Path) -> None:
    """Listen on the socket `path` as long as the process lives."""
    sock = _listen(path)
    api = http.Api(name="control", prefix="", routes=ROUTES, faults=_fault, app=cloud)
    server = Server(asgi_app([api], cloud), sock)
    cloud.runtime.tasks.start("control", server.run)
    await server.ready()


async def _doctor(cloud: Cloud, req: http.Request) -> Any:
    repair = req.method == "POST"
    bus = cloud.runtime.bus
    found = await bus.stub(Compute, timeout_s=TIMEOUT_S).doctor(repair)
    # after machines and servers: a port that nobody has goes with what had it
    return [*found, *await bus.stub(Network, timeout_s=TIMEOUT_S).doctor(repair)]


async def _trace(cloud: Cloud, req: http.Request) -> Any:
    request = msgspec.convert(req.body, TraceRequest)
    return await cloud.runtime.bus.stub(NetworkAgent, instance=req.params["host"]).trace(request)


async def _tasks(cloud: Cloud, _req: http.Request) -> Any:
    return {
        "tasks": cloud.runtime.tasks.running,
        "services": [service.name for service in cloud.services],
        "loops": {loop.name: loop.failures for s in cloud.services for loop in s.loops},
        "rss_bytes": _rss_bytes(),
    }


async def _metrics(_cloud: Cloud, _req: http.Request) -> http.Response:
    text = await asyncio.to_thread(metrics.render)
    return http.Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")


ROUTES = (
    http.get("/doctor", _doctor, rule=http.PUBLIC),
    http.post("/doctor", _doctor, rule=http.PUBLIC),
    http.post("/hosts/{host}/trace", _trace, rule=http.PUBLIC),
    http.get("/tasks", _tasks, rule=http.PUBLIC),
    http.get("/metrics", _metrics, rule=http.PUBLIC),
)


def _fault(error: OctoError, status: int, _request_id: str) -> http.Fault:
    return http.Fault(status, {"code": error.code, "message": error.message})


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    except OSError as e:
        raise Unavailable(f"{path}: {e}", code="listen") from e
    finally:
        os.umask(before)
    sock.listen(16)
    sock.setblocking(False)
    return sock


def _rss_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
