# SPDX-License-Identifier: Apache-2.0
"""What is done alike with every resource: list, show, create (one or many), update, delete.

What a caller may not see is not there (404). What it sees and may not change is forbidden (403).
A create of many is one transaction: all or none. An update counts the revision up, and with
``If-Match: revision_number=N`` happens only on that revision (412).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from octostack.base.errors import Conflict
from octostack.runtime.http import Request
from octostack.services.network.api import query, quota
from octostack.services.network.api.app import App, Op
from octostack.services.network.api.behaviour import Behaviour, Values
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.resource import Resource, bad
from octostack.services.network.store import filters, rows

Handler = Callable[[App, Request], Awaitable[Any]]
BULK_MAX = 1000
ATTEMPTS = 5


def lister(thing: Behaviour) -> Handler:
    """``GET /Xs``."""

    async def handle(app: App, req: Request) -> Any:
        asked = query.filters(thing.resource, req)
        page = query.page(thing.resource, req)
        if thing.before_list:
            await thing.before_list(app, req.caller)
        async with app.db.read() as tx:
            op = Op(app, tx, req.caller)
            req.authorized = True  # row by row below
            noun, project_id = thing.resource.noun, req.caller.project_id
            late = {name: asked.pop(name) for name in thing.late_filters & asked.keys()}
            where = filters.wanted(noun, asked, project_id)
            if not op.sees_all:
                where.append(filters.visible(noun, project_id or ""))
            found = await rows.page(tx, noun, where, page)
            items = await views(op, thing, found)
        items = [i for i in items if all(i[name] in late[name] for name in late)]
        return {
            thing.resource.plural: _cut(items, query.fields(req)),
            **_links(thing.resource, req, page, items),
        }

    return handle


def _links(resource: Resource, req: Request, page: Any, items: list[Values]) -> dict[str, Any]:
    links = query.links(req, page, items)
    return {f"{resource.plural}_links": links} if links else {}


def shower(thing: Behaviour) -> Handler:
    """``GET /Xs/{id}``."""

    async def handle(app: App, req: Request) -> Any:
        async with app.db.read() as tx:
            op = Op(app, tx, req.caller)
            row = await visible(op, thing, req.params["id"])
            req.authorized = True
            shown = await view(op, thing, row)
        return {thing.resource.name: _cut([shown], query.fields(req))[0]}

    return handle


def creator(thing: Behaviour) -> Handler:
    """``POST /Xs`` with one or many."""

    async def handle(app: App, req: Request) -> Any:
        given, many = bodies(thing.resource, req.body)
        parsed = [_new(thing.resource, req, item) for item in given]
        if thing.check_bulk and many:
            thing.check_bulk(parsed)
        shown = await _retried(app, req, thing, given, parsed)
        return {thing.resource.plural: shown} if many else {thing.resource.name: shown[0]}

    return handle


async def _retried(
    app: App, req: Request, thing: Behaviour, given: list[Values], parsed: list[Values]
) -> list[Values]:
    """On a database with several writers another may take the address that was chosen here."""
    for attempt in range(ATTEMPTS):
        try:
            return await _create_all(app, req, thing, given, parsed)
        except Conflict as e:
            if e.code != "db.duplicate" or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


async def _create_all(
    app: App, req: Request, thing: Behaviour, given: list[Values], parsed: list[Values]
) -> list[Values]:
    assert thing.create is not None, f"{thing.resource.plural} have no create"
    async with app.db.write() as tx:
        op = Op(app, tx, req.caller)
        made = []
        for raw, values in zip(given, parsed, strict=True):
            target = await thing.new_target(op, values)
            explicit = {k: v for k, v in values.items() if _is_explicit(thing.resource, k, v, raw)}
            require(op, thing, "create", target, explicit)
            if thing.quota:
                await quota.claim(op, thing.quota, values["project_id"])
            made.append(await thing.create(op, dict(values)))
        req.authorized = True
        shown = await views(op, thing, made, filtered=False)
        tx.after_commit(app.wake)
    return shown


def updater(thing: Behaviour) -> Handler:
    """``PUT /Xs/{id}``."""

    async def handle(app: App, req: Request) -> Any:
        given = _object(req.body, thing.resource.name)
        _normalise_project(given)
        assert thing.update is not None, f"{thing.resource.plural} have no update"
        async with app.db.write() as tx:
            op = Op(app, tx, req.caller)
            row = await visible(op, thing, req.params["id"])
            req.authorized = True
            changes = thing.resource.parse_changes(given)
            [target] = await thing.targets(op, [row])
            require(op, thing, "update", {**target, **_hints(changes)}, changes)
            check_revision(req, row)
            changed = await thing.update(op, row, changes)
            shown = await view(op, thing, changed)
            tx.after_commit(app.wake)
        return {thing.resource.name: shown}

    return handle


def deleter(thing: Behaviour) -> Handler:
    """``DELETE /Xs/{id}``."""

    async def handle(app: App, req: Request) -> None:
        assert thing.delete is not None, f"{thing.resource.plural} have no delete"
        async with app.db.write() as tx:
            op = Op(app, tx, req.caller)
            row = await visible(op, thing, req.params["id"])
            req.authorized = True
            [target] = await thing.targets(op, [row])
            require(op, thing, "delete", target, {})
            check_revision(req, row)
            await thing.delete(op, row)
            tx.after_commit(app.wake)

    return handle


async def visible(op: Op, thing: Behaviour, id_: str) -> Any:
    """The row, if the caller may see it. Raises NotFound by the noun's own name."""
    row = await rows.find(op.tx, thing.resource.noun, id_)
    if row is not None:
        [target] = await thing.targets(op, [row])
        if op.allowed(f"get_{thing.resource.name}", target):
            return row
    name, key = thing.missing
    raise fault(name, **{key: id_, **({"object_type": None} if "Rbac" in name else {})})


async def view(op: Op, thing: Behaviour, row: Any) -> Values:
    """One row as its caller may see it."""
    [shown] = await views(op, thing, [row], filtered=False)
    return shown


async def views(
    op: Op, thing: Behaviour, found: Sequence[Any], *, filtered: bool = True
) -> list[Values]:
    """Rows as the caller may see them, without those that a rule hides.

    Rules on a view ask only for what `Behaviour.targets` gives; so rows with equal targets share
    one decision, and a list of thousands costs a few.
    """
    resource = thing.resource
    targets = await thing.targets(op, found)
    extras = await thing.extras(op, found)
    decided: dict[tuple[Any, ...], list[str] | None] = {}
    shown = []
    for row, target, extra in zip(found, targets, extras, strict=True):
        key = tuple(target.values())
        if key not in decided:
            decided[key] = _hidden(op, resource, target, filtered)
        hidden = decided[key]
        if hidden is None:
            continue
        item = resource.view(row)
        item.update(extra)
        for name in hidden:
            item.pop(name, None)
        shown.append(item)
    return shown


def _hidden(op: Op, resource: Resource, target: Values, filtered: bool) -> list[str] | None:
    """Attributes that a rule hides; None when the whole row is hidden."""
    if filtered and not op.allowed(f"get_{resource.name}", target):
        return None
    return [
        name
        for name in resource.guarded_views
        if not op.allowed(f"get_{resource.name}:{name}", target)
    ]


def require(op: Op, thing: Behaviour, verb: str, target: Values, given: Mapping[str, Any]) -> None:
    """Check the rule of the act and of each attribute given. Raises Forbidden."""
    rule = f"{verb}_{thing.resource.name}"
    if not op.allowed(rule, target):
        raise fault("PolicyNotAuthorized", action=rule)
    known = op.app.policy.rules
    for name, value in given.items():
        attr = thing.resource.attrs[name]
        if verb not in attr.enforce:
            continue
        for part in (f"{rule}:{name}", *(f"{rule}:{name}:{key}" for key in _keys(value))):
            if part in known and not op.allowed(part, target):
                raise fault("PolicyNotAuthorized", action=part)


def _keys(value: Any) -> list[str]:
    """The keys of a dictionary, or of the dictionaries in a list."""
    items = value if isinstance(value, list) else [value]
    return sorted({key for item in items if isinstance(item, dict) for key in item})


def _is_explicit(resource: Resource, name: str, value: Any, raw: Mapping[str, Any]) -> bool:
    return name in raw and value != resource.attrs[name].default


def _hints(changes: Values) -> Values:
    """What rules may ask of an update's new values."""
    hints: Values = {}
    if "device_owner" in changes:
        hints["network_device"] = changes["device_owner"].startswith("network:")
    if "target_tenant" in changes:
        hints["target_project"] = changes["target_tenant"]
    return hints


def check_revision(req: Request, row: Any) -> None:
    """``If-Match: revision_number=N``. Raises Conflict (412) when the row is at another."""
    given = req.headers.get("if-match")
    if given is None:
        return
    name, _, number = given.strip().partition("=")
    if name != "revision_number" or not (number.isascii() and number.isdigit()):
        raise fault(
            "BadRequest",
            resource="if-match",
            msg="If-Match must be in the form revision_number=<int>",
        )
    if int(number[:18]) != row.revision_number:
        raise fault(
            "RevisionNumberConstraintFailed",
            expected=number,
            current=row.revision_number,
        )


def bodies(resource: Resource, body: Any) -> tuple[list[Values], bool]:
    """The attributes of each thing to make, and whether many were asked for. Raises Invalid."""
    if isinstance(body, dict) and resource.plural in body:
        many = body[resource.plural]
        if not isinstance(many, list) or not many:
            raise bad("Resource body required", resource.plural)
        if len(many) > BULK_MAX:
            raise bad(f"Not more than {BULK_MAX} at once", resource.plural)
        items = [i[resource.name] if _is_wrapped(i, resource.name) else i for i in many]
        return [_object({resource.name: item}, resource.name) for item in items], True
    return [_object(body, resource.name)], False


def _is_wrapped(item: Any, name: str) -> bool:
    return isinstance(item, dict) and set(item) == {name}


def _object(body: Any, name: str) -> Values:
    if not isinstance(body, dict) or not body:
        raise bad("Resource body required", name)
    if name not in body:
        raise bad(f"Unable to find '{name}' in request body", name)
    if not isinstance(body[name], dict):
        raise bad(f"Invalid input for {name}. Reason: it is not a dictionary.", name)
    return dict(body[name])


def _new(resource: Resource, req: Request, given: Values) -> Values:
    """A create's attributes with their owner. Raises Invalid."""
    _normalise_project(given)
    caller = req.caller
    project_id = given.get("project_id") or caller.project_id
    if project_id != caller.project_id and not (caller.is_admin or "service" in caller.roles):
        raise bad(
            "Specifying 'project_id' or 'tenant_id' other than the authenticated project in "
            "request requires admin privileges",
            "project_id",
        )
    if not project_id:
        raise bad("project_id is required with a token that is not for a project", "project_id")
    values = resource.parse_new({**given, "project_id": project_id, "tenant_id": project_id})
    for name in ("project_id", "tenant_id"):
        given.pop(name, None)
    return values


def _normalise_project(given: Values) -> None:
    both = {given[name] for name in ("project_id", "tenant_id") if isinstance(given.get(name), str)}
    if len(both) > 1:
        raise bad("'project_id' and 'tenant_id' do not match", "project_id")
    if both and "tenant_id" in given:
        given["project_id"] = given.pop("tenant_id")


def _cut(items: list[Values], wanted: set[str]) -> list[Values]:
    if not wanted:
        return items
    return [{k: v for k, v in item.items() if k in wanted} for item in items]
