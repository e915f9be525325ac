# SPDX-License-Identifier: Apache-2.0
"""``/v2/images``: create, list, show, patch, delete, tags, deactivate and reactivate."""

from typing import Any
from urllib.parse import urlencode

from octostack.base import clock, ids
from octostack.base.errors import Forbidden, Invalid, NotFound, TooLarge
from octostack.runtime.http import Request, Response
from octostack.services.image.api.app import App, Found, authorize, find, see
from octostack.services.image.core import listing, patch, quota, states
from octostack.services.image.model import ACTIVE, DEACTIVATED, QUEUED, Image
from octostack.services.image.schema import images as schema
from octostack.services.image.store import images, vault

TAGS_MAX = 128
PROPERTIES_MAX = 128


async def create(app: App, req: Request) -> Response:
    """A new image without data."""
    image = _new(req)
    _authorize_new(req, image)
    async with app.db.write() as tx:
        usage = await images.usage(tx, image.owner)
        quota.check(app.limits, usage, "image_count_total", 1)
        await images.insert(tx, image)
    headers = {
        "Location": f"{req.base_url}/v2/images/{image.id}",
        "OpenStack-image-import-methods": ",".join(app.import_methods),
        "OpenStack-image-store-ids": app.blobs.name,
    }
    return Response(schema.view(image), status=201, headers=headers)


async def list_all(app: App, req: Request) -> dict[str, Any]:
    """A page of the images the caller may see."""
    asked = listing.read(req.query.pairs)
    req.authorize({"project_id": req.caller.project_id})
    async with app.db.read() as tx:
        found = await images.list_page(tx, req.caller, asked) if asked.limit else []
    pairs = [(name, value) for name, value in req.query if name != "marker"]
    query = urlencode(pairs)
    shown: dict[str, Any] = {
        "images": [schema.view(image) for image in found],
        "first": f"/v2/images?{query}" if query else "/v2/images",
        "schema": "/v2/schemas/images",
    }
    if found and len(found) == asked.limit:
        shown["next"] = f"/v2/images?{urlencode([*pairs, ('marker', found[-1].id)])}"
    return shown


async def show(app: App, req: Request) -> dict[str, Any]:
    """One image."""
    async with app.db.read() as tx:
        return schema.view(await find(tx, req, "get_image"))


async def update(app: App, req: Request) -> dict[str, Any]:
    """The image after a JSON patch."""
    media_type = req.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (patch.V20, patch.V21):
        raise Invalid(
            f"Image PATCH expects Content-Type one of: {patch.V20}, {patch.V21}",
            code="media_type",
            status=415,
        )
    changes = patch.read(req.body, media_type)
    for change in changes:
        if change.op != "remove":
            schema.check({change.name: change.value})
    async with app.db.write() as tx:
        found = await see(tx, req.caller, req.params["image_id"])
        image = found.image
        if not changes:
            authorize(req, "modify_image", found)
        for change in changes:
            _authorize_change(req, found, change)
            image = patch.applied(image, change, clock.now())
        _check_counts(image)
        await images.save(tx, found.image, image)
    return schema.view(image)


async def delete(app: App, req: Request) -> None:
    """The image goes, and its data with it."""
    async with app.db.write() as tx:
        image = await find(tx, req, "delete_image")
        if image.protected:
            raise Forbidden(
                f"Image {image.id} is protected and cannot be deleted.", code="image.protected"
            )
        await images.delete(tx, image.id, clock.now())
    await vault.drop(app, image)


async def add_tag(app: App, req: Request) -> None:
    """The image has the tag from now on."""
    schema.check({"tags": [req.params["tag"]]})
    async with app.db.write() as tx:
        image = await find(tx, req, "modify_image")
        tags = tuple(sorted({*image.tags, req.params["tag"]}))
        changed = states.replace(image, tags=tags, updated_at=clock.now())
        _check_counts(changed)
        await images.save(tx, image, changed)


async def remove_tag(app: App, req: Request) -> None:
    """The image has the tag no more."""
    async with app.db.write() as tx:
        image = await find(tx, req, "modify_image")
        if req.params["tag"] not in image.tags:
            raise NotFound("The resource could not be found.", code="image.no_tag")
        tags = tuple(tag for tag in image.tags if tag != req.params["tag"])
        changed = states.replace(image, tags=tags, updated_at=clock.now())
        await images.save(tx, image, changed)


async def deactivate(app: App, req: Request) -> None:
    """Withhold the data from all but operators."""
    await _set_status(app, req, "deactivate", DEACTIVATED)


async def reactivate(app: App, req: Request) -> None:
    """Give the data out again."""
    await _set_status(app, req, "reactivate", ACTIVE)


async def _set_status(app: App, req: Request, rule: str, status: str) -> None:
    async with app.db.write() as tx:
        image = await find(tx, req, rule)
        if image.status not in (ACTIVE, DEACTIVATED):
            raise Forbidden(
                f"Not allowed to {rule} image in status '{image.status}'", code="image.status"
            )
        if image.status != status:
            await images.save(tx, image, states.moved(image, status, clock.now()))


def _new(req: Request) -> Image:
    """The image that a body asks for. Raises Invalid, Forbidden."""
    body = req.body
    if not isinstance(body, dict):
        raise Invalid("Body expected in request.", field="body")
    for name in body:
        if name not in ("id", "locations"):
            patch.check_writable(name)
    if "locations" in body:
        raise Forbidden(
            "It's not allowed to add locations if locations are invisible.", field="locations"
        )
    schema.check(body)
    fields = {patch.FIELDS[name]: value for name, value in body.items() if name in patch.FIELDS}
    now = clock.now()
    given: dict[str, Any] = {
        "name": None,
        "visibility": "shared",
        "owner": req.caller.project_id,
        **fields,
        "tags": tuple(dict.fromkeys(fields.get("tags", ()))),
    }
    image = Image(
        id=body["id"].lower() if "id" in body else ids.new(),
        status=QUEUED,
        created_at=now,
        updated_at=now,
        properties={k: v for k, v in body.items() if k not in patch.FIELDS and k != "id"},
        **given,
    )
    _check_counts(image)
    return image


def _check_counts(image: Image) -> None:
    for noun, n, most in (
        ("properties", len(image.properties), PROPERTIES_MAX),
        ("tags", len(image.tags), TAGS_MAX),
    ):
        if n > most:
            raise TooLarge(
                f"The limit has been exceeded on the number of allowed image {noun}. "
                f"Attempted: {n}, Maximum: {most}",
                code="image.too_many",
            )


def _authorize_new(req: Request, image: Image) -> None:
    target = {
        "project_id": image.owner,
        "owner": image.owner,
        "visibility": image.visibility,
    }
    foreign = image.owner != req.caller.project_id
    if not req.allowed("add_image", target) or (foreign and not req.caller.is_admin):
        message = (
            f"You are not permitted to create images owned by '{image.owner}'."
            if foreign
            else "add_image is disallowed by policy: you are not authorized to complete "
            "add_image action."
        )
        raise Forbidden(message, code="policy", rule="add_image")
    _authorize_visibility(req, image.visibility, target)


def _authorize_visibility(req: Request, visibility: Any, target: dict[str, Any]) -> None:
    rules = {"public": "publicize_image", "community": "communitize_image"}
    rule = rules.get(visibility)
    if rule is not None and not req.allowed(rule, target):
        raise Forbidden(
            f"{rule} is disallowed by policy: you are not authorized to complete {rule} action.",
            code="policy",
            rule=rule,
        )


def _authorize_change(req: Request, found: Found, change: patch.Change) -> None:
    authorize(req, "modify_image", found)
    if change.name == "visibility":
        _authorize_visibility(req, change.value, found.target)
    if change.name == "owner" and not req.caller.is_admin:
        raise Forbidden("Owner can't be updated by non admin.", field="owner")
