# SPDX-License-Identifier: Apache-2.0
"""Tags of whatever has them: ``/Xs/{id}/tags`` and ``/Xs/{id}/tags/{tag}``."""

from collections.abc import Callable
from typing import Any

from octostack.base.errors import NotFound
from octostack.runtime.http import Request
from octostack.services.network.api.app import App, Op
from octostack.services.network.api.behaviour import Behaviour
from octostack.services.network.api.crud import Handler, visible
from octostack.services.network.model.faults import fault
from octostack.services.network.schema import types
from octostack.services.network.schema.resource import bad, invalid
from octostack.services.network.store import rows

TAGS_MAX = 50
Change = Callable[[list[str]], list[str]]


async def _row(op: Op, thing: Behaviour, req: Request, verb: str) -> Any:
    """The tagged row, if the caller may do that to its tags."""
    req.authorized = True
    try:
        row = await visible(op, thing, req.params["id"])
    except NotFound as e:
        resource, id_ = thing.resource.name, req.params["id"]
        raise fault("TagResourceNotFound", resource=resource, resource_id=id_) from e
    [target] = await thing.targets(op, [row])
    rule = f"{verb}_{thing.resource.name}:tags"
    if not op.allowed(rule, target):
        raise fault("PolicyNotAuthorized", action=rule)
    return row


def lister(thing: Behaviour) -> Handler:
    """``GET .../tags``."""

    async def handle(app: App, req: Request) -> Any:
        async with app.db.read() as tx:
            row = await _row(Op(app, tx, req.caller), thing, req, "get")
        return {"tags": row.tags}

    return handle


def shower(thing: Behaviour) -> Handler:
    """``GET .../tags/{tag}``: 204 when it is there."""

    async def handle(app: App, req: Request) -> None:
        async with app.db.read() as tx:
            row = await _row(Op(app, tx, req.caller), thing, req, "get")
        if req.params["tag"] not in row.tags:
            raise fault("TagNotFound", tag=req.params["tag"])

    return handle


def replacer(thing: Behaviour) -> Handler:
    """``PUT .../tags``: these and no others."""

    async def handle(app: App, req: Request) -> Any:
        given = _given(req)
        return {"tags": await _change(app, req, thing, "update", lambda _old: given)}

    return handle


def extender(thing: Behaviour) -> Handler:
    """``POST .../tags``: these as well."""

    async def handle(app: App, req: Request) -> Any:
        given = _given(req)
        return {"tags": await _change(app, req, thing, "create", lambda old: [*old, *given])}

    return handle


def adder(thing: Behaviour) -> Handler:
    """``PUT .../tags/{tag}``."""

    async def handle(app: App, req: Request) -> None:
        tag = _one(req)
        await _change(app, req, thing, "update", lambda old: [*old, tag])

    return handle


def remover(thing: Behaviour) -> Handler:
    """``DELETE .../tags/{tag}``."""

    async def handle(app: App, req: Request) -> None:
        tag = _one(req)

        def without(old: list[str]) -> list[str]:
            if tag not in old:
                raise fault("TagNotFound", tag=tag)
            return [other for other in old if other != tag]

        await _change(app, req, thing, "delete", without)

    return handle


def clearer(thing: Behaviour) -> Handler:
    """``DELETE .../tags``."""

    async def handle(app: App, req: Request) -> None:
        await _change(app, req, thing, "delete", lambda _old: [])

    return handle


async def _change(app: App, req: Request, thing: Behaviour, verb: str, change: Change) -> list[str]:
    async with app.db.write() as tx:
        op = Op(app, tx, req.caller)
        row = await _row(op, thing, req, verb)
        tags = sorted(set(change(row.tags)))
        if len(tags) > TAGS_MAX:
            raise fault(
                "BadRequest",
                resource=thing.resource.name,
                msg=f"The number of tags exceed the per-resource limit of {TAGS_MAX}",
            )
        await rows.update(tx, row, op.stamped(row, tags=tags))
    return tags


def _one(req: Request) -> str:
    try:
        return str(types.text(req.params["tag"]))
    except ValueError as e:
        raise invalid(str(e)) from e


def _given(req: Request) -> list[str]:
    if not isinstance(req.body, dict) or "tags" not in req.body:
        raise invalid("Invalid tags body")
    try:
        return list(types.tags(req.body["tags"]))
    except ValueError as e:
        raise bad(f"Invalid input for tags. Reason: {e}.", "tags") from e
