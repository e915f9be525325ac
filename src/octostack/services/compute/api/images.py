# SPDX-License-Identifier: Apache-2.0
"""Images by Compute (to 2.35, their metadata to 2.38); they live in Image, and it decides."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from octostack.base.errors import Forbidden, Invalid, NotFound
from octostack.contracts.api import ApiCall
from octostack.runtime.http import Request
from octostack.services.compute.api import lookup
from octostack.services.compute.api.asking import fetch, send
from octostack.services.compute.core import quota
from octostack.services.compute.schema import images as schema
from octostack.services.compute.store.api_db import quotas
from octostack.services.compute.store.app import App

_IMAGES = "/v2/images"
_PAGE = 1000  # Image's longest
_PATCH = "application/openstack-images-v2.1-json-patch"
Image = dict[str, Any]


async def index(app: App, req: Request) -> Any:
    """GET /images"""
    found, links = await _list(app, req)
    return {"images": [schema.basic(i, req) for i in found]} | links


async def list_detail(app: App, req: Request) -> Any:
    """GET /images/detail"""
    found, links = await _list(app, req)
    return {"images": [schema.whole(i, req) for i in found]} | links


async def show(app: App, req: Request) -> Any:
    """GET /images/{image_id}"""
    return {"image": schema.whole(await _get(app, req), req)}


async def delete(app: App, req: Request) -> None:
    """DELETE /images/{image_id}"""
    with _words("You are not allowed to delete the image."):
        call = ApiCall(method="DELETE", path=f"{_IMAGES}/{req.params['image_id']}")
        await send(app.images, req, call)


async def list_metadata(app: App, req: Request) -> Any:
    """GET /images/{image_id}/metadata"""
    return {"metadata": schema.properties(await _get(app, req))}


async def show_metadatum(app: App, req: Request) -> Any:
    """GET /images/{image_id}/metadata/{key}"""
    key = req.params["key"]
    return {"meta": {key: await _value(app, req, key)}}


async def add_metadata(app: App, req: Request) -> Any:
    """POST /images/{image_id}/metadata"""
    before = schema.properties(await _get(app, req))
    return {"metadata": await _write(app, req, before, before | req.body["metadata"])}


async def replace_metadata(app: App, req: Request) -> Any:
    """PUT /images/{image_id}/metadata"""
    before = schema.properties(await _get(app, req))
    await _write(app, req, before, req.body["metadata"])
    return {"metadata": req.body["metadata"]}


async def put_metadatum(app: App, req: Request) -> Any:
    """PUT /images/{image_id}/metadata/{key}"""
    given = req.body["meta"]
    if req.params["key"] not in given:
        raise Invalid("Request body and URI mismatch", field="meta")
    before = schema.properties(await _get(app, req))
    await _write(app, req, before, before | given)
    return {"meta": given}


async def delete_metadatum(app: App, req: Request) -> None:
    """DELETE /images/{image_id}/metadata/{key}"""
    key = req.params["key"]
    await _value(app, req, key)
    await _patch(app, req, [{"op": "remove", "path": _pointer(key)}])


async def _get(app: App, req: Request) -> Image:
    with _words("You are not allowed to see the image."):
        found: Image = await fetch(app.images, req, f"{_IMAGES}/{req.params['image_id']}")
    return found


async def _value(app: App, req: Request, key: str) -> str:
    found = schema.properties(await _get(app, req))
    if key not in found:
        raise NotFound("Invalid metadata key", code="MetadataNotFound")
    return found[key]


async def _write(
    app: App, req: Request, before: dict[str, str], after: dict[str, str]
) -> dict[str, str]:
    """Change an image's properties from one to the other."""
    async with app.api_db.read() as tx:
        limits = await quotas.effective(tx, req.caller.project_id or "", req.caller.user_id)
    quota.check_count("metadata_items", len(after), limits, quota.TOO_MANY_METADATA)
    changes = [
        {"op": "add", "path": _pointer(k), "value": v}
        for k, v in after.items()
        if before.get(k) != v
    ]
    changes += [{"op": "remove", "path": _pointer(k)} for k in before if k not in after]
    return schema.properties(await _patch(app, req, changes))


async def _patch(app: App, req: Request, changes: list[dict[str, str]]) -> Image:
    path = f"{_IMAGES}/{req.params['image_id']}"
    call = ApiCall(method="PATCH", path=path, content_type=_PATCH)
    with _words("You are not allowed to change the image."):
        changed: Image = await send(app.images, req, call, changes)
    return changed


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


async def _list(app: App, req: Request) -> tuple[list[Image], dict[str, Any]]:
    """The images asked for, and the link to the next page where a limit cut them."""
    limit = lookup.whole_number(req, "limit")
    query = schema.filters(dict(req.query))
    if "marker" in req.query:
        query["marker"] = req.query.get("marker", "")
    found: list[Image] = []
    if limit != 0:
        async for image in _each(app, req, query | {"limit": str(min(limit or _PAGE, _PAGE))}):
            found.append(image)
            if len(found) == limit:
                break
    if not found or len(found) != limit:
        return found, {}
    return found, {"images_links": lookup.next_links(req, found[-1]["id"])}


async def _each(app: App, req: Request, query: dict[str, str]) -> AsyncIterator[Image]:
    """Every image of a list, page after page."""
    while True:
        page = await fetch(app.images, req, _IMAGES, query)
        for image in page["images"]:
            yield image
        if "next" not in page:
            return
        query = dict(parse_qsl(urlsplit(page["next"]).query))


@contextmanager
def _words(forbidden: str) -> Iterator[None]:
    """Image's refusals in Compute's words."""
    try:
        yield
    except NotFound as e:
        raise NotFound("Image not found.", code="ImageNotFound") from e
    except Forbidden as e:
        raise Forbidden(forbidden, code="ImageNotAuthorized") from e
