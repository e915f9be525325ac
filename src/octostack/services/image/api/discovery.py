# SPDX-License-Identifier: Apache-2.0
"""Versions, schemas and what this installation offers."""

from typing import Any

from octostack.runtime.http import Request, Response
from octostack.services.image.api.app import App
from octostack.services.image.core import quota
from octostack.services.image.schema import images as image_schema
from octostack.services.image.schema import members as member_schema
from octostack.services.image.schema import metadefs as metadef_schema
from octostack.services.image.store import images

_CURRENT = "2.17"
_SUPPORTED = (
    "2.15", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8",
    "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0",
)  # fmt: skip

SCHEMAS: dict[str, dict[str, Any]] = {
    "image": image_schema.IMAGE,
    "images": image_schema.collection("images", image_schema.IMAGE),
    "member": member_schema.MEMBER,
    "members": image_schema.collection("members", member_schema.MEMBER, paged=False),
    "task": member_schema.TASK,
    "tasks": image_schema.collection("tasks", member_schema.TASK),
}


async def versions(_app: App, req: Request) -> Response:
    """The versions, as a choice (300)."""
    return Response(_versions(req), status=300)


async def versions_explicitly(_app: App, req: Request) -> Any:
    """The versions, for who asks for them (200)."""
    return _versions(req)


def _versions(req: Request) -> dict[str, Any]:
    href = f"{req.base_url}/v2/"
    named = [(_CURRENT, "CURRENT"), *((version, "SUPPORTED") for version in _SUPPORTED)]
    return {
        "versions": [
            {"id": f"v{version}", "status": status, "links": [{"rel": "self", "href": href}]}
            for version, status in named
        ]
    }


async def show_schema(_app: App, req: Request) -> Any:
    """One schema by the last part of the path."""
    return SCHEMAS[req.path.rstrip("/").rpartition("/")[2]]


async def show_metadef_schema(_app: App, req: Request) -> Any:
    """One schema of the metadata definitions."""
    return metadef_schema.DOCUMENTS[req.path.rstrip("/").rpartition("/")[2]]


async def import_methods(app: App, _req: Request) -> Any:
    """How data may be brought in."""
    return {
        "import-methods": {
            "description": "Import methods available.",
            "type": "array",
            "value": app.import_methods,
        }
    }


async def stores(app: App, _req: Request) -> Any:
    """Where data may be kept."""
    return {"stores": [_store(app)]}


async def stores_detail(app: App, _req: Request) -> Any:
    """Where data may be kept, for operators."""
    detail = {"type": app.blobs.kind, "weight": 0, "properties": {"thin_provisioning": False}}
    return {"stores": [_store(app) | detail]}


async def usage(app: App, req: Request) -> Any:
    """The project's limits and what it has."""
    async with app.db.read() as tx:
        found = await images.usage(tx, req.caller.project_id)
    return {"usage": quota.view(app.limits, found)}


def _store(app: App) -> dict[str, Any]:
    return {"id": app.blobs.name, "description": "Files of this cloud", "default": "true"}
