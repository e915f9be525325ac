# SPDX-License-Identifier: Apache-2.0
"""The viewer that a VNC console's URL leads to: noVNC, served as it comes, no file of ours.

It connects back to the console's WebSocket under this same address, so its pages need no setting.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from octostack.base.errors import NotFound
from octostack.runtime.http import Request, Response
from octostack.services.compute.store.app import App

PAGE = "vnc_lite.html"  # connects at once; vnc.html beside it has more buttons
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".ttf": "font/ttf",
    ".woff": "font/woff",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
}
_HEADERS = {
    "Referrer-Policy": "no-referrer",  # the page's address holds the token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "max-age=3600",
}
_MISSING = (
    "The console's viewer, noVNC, is not installed here: run `make setup`, install Debian's "
    "package novnc, or name its directory by the setting viewer_dir."
)


def files(directory: str) -> dict[str, Path]:
    """What may be served: name below the first directory that has the page, to file."""
    places = [directory] if directory else [f"{sys.prefix}/share/novnc", "/usr/share/novnc"]
    for place in map(Path, places):
        if (place / PAGE).is_file():
            found = (path for path in place.rglob("*") if path.suffix in _TYPES)
            return {str(path.relative_to(place)): path for path in found if path.is_file()}
    return {}


async def show(app: App, req: Request) -> Any:
    """GET /console/{path}"""
    path = app.viewer.get(req.params["path"])
    if path is None:
        raise NotFound("The resource could not be found." if app.viewer else _MISSING)
    data = await asyncio.to_thread(path.read_bytes)
    return Response(data, content_type=_TYPES[path.suffix], headers=_HEADERS)
