# SPDX-License-Identifier: Apache-2.0
"""Listening: uvicorn as a coroutine on a socket that we bind, so that port 0 works."""

import asyncio
import contextlib
import socket
from typing import Any

import uvicorn

from octostack.base import limits
from octostack.base.errors import Unavailable
from octostack.runtime.http.app import Asgi
from octostack.runtime.http.patience import PatientProtocol

BACKLOG = 1024
STOP_TIMEOUT_S = 5


class Server:
    """One application on one listening socket (`listen`)."""

    def __init__(self, app: Asgi, sock: socket.socket) -> None:
        self._socket = sock
        self._uvicorn = _Quiet(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                ws="websockets-sansio",
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,
                limit_concurrency=limits.CONNECTIONS_MAX,
                timeout_graceful_shutdown=STOP_TIMEOUT_S,
            )
        )

    async def run(self) -> None:
        """Serve until `stop`."""
        await self._uvicorn.serve(sockets=[self._socket])

    async def ready(self) -> None:
        """Return once connections are accepted."""
        await self._uvicorn.up.wait()

    async def settled(self, patience_s: float) -> None:
        """Let the requests that are there be answered, for so long at most."""
        for _ in range(3):  # a connection that waits is taken, read, and becomes a request
            await asyncio.sleep(0)
        if self._uvicorn.server_state.tasks:
            await asyncio.wait(self._uvicorn.server_state.tasks, timeout=patience_s)

    def stop(self) -> None:
        """Finish the requests under way, then let `run` return."""
        self._uvicorn.should_exit = True


class _Quiet(uvicorn.Server):
    """Says when it is up; leaves signals to the process, whose they are."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.up.set()

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises Unavailable."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only for sockets that say they are TCP; with it on,
    # an answer in two pieces waits 40 ms for the client's delayed acknowledgement.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as e:
        sock.close()
        raise Unavailable(f"Cannot listen on {host}:{port}: {e.strerror}", code="listen") from e
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock
