# SPDX-License-Identifier: Apache-2.0
"""What version is spoken, for who does not know yet."""

from octostack.runtime.http import Request, Response
from octostack.services.identity.api.app import App
from octostack.services.identity.model import JSON

VERSION = "v3.14"
UPDATED = "2020-04-07T00:00:00Z"


async def show_versions(_app: App, req: Request) -> Response:
    """GET /: 300, every version there is."""
    return Response({"versions": {"values": [_version(req)]}}, status=300)


async def show_version(_app: App, req: Request) -> JSON:
    """GET /v3."""
    return {"version": _version(req)}


def _version(req: Request) -> JSON:
    return {
        "id": VERSION,
        "status": "stable",
        "updated": UPDATED,
        "links": [{"rel": "self", "href": f"{req.base_url}/v3/"}],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}
        ],
    }
