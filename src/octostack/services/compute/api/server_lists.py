# SPDX-License-Identifier: Apache-2.0
"""Lists of servers: what a query asks for, one page at a time."""

import json
from typing import Any

import msgspec

from octostack.base.errors import Forbidden, Invalid
from octostack.runtime.http import Request
from octostack.services.compute.api import lookup
from octostack.services.compute.api import servers as one
from octostack.services.compute.core import patterns, states
from octostack.services.compute.model import Order, Server, ServerFilter
from octostack.services.compute.schema import server_view, terms
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import servers as store

_P = "os_compute_api:servers:"
_SORT_KEYS = {key: key for key in store.SORT_KEYS} | {
    "uuid": "id", "display_name": "name", "display_description": "description",
    "image_ref": "image_id", "instance_type_id": "flavor_id", "auto_disk_config": "disk_config",
    "root_device_name": "root_device", "deleted_at": "terminated_at",
}  # fmt: skip
_DEFAULT_SORT = (("created_at", "desc"), ("id", "desc"))
_FOR_ALL = {
    "reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants",
    "ip6", "tags", "tags-any", "not-tags", "not-tags-any", "changes-before", "locked",
    "availability_zone", "config_drive", "key_name", "created_at", "launched_at",
    "terminated_at", "power_state", "task_state", "vm_state", "progress", "user_id", "hostname",
    "metadata",
}  # fmt: skip
_OTHERS = {
    "access_ip_v4", "access_ip_v6", "auto_disk_config", "created_at", "description",
    "deleted", "disk_config", "display_description", "display_name", "host", "image_ref",
    "instance_name", "kernel_id", "launch_index", "locked_by", "node", "project_id",
    "ramdisk_id", "root_device_name", "tenant_id", "uuid", "soft_deleted",
}  # fmt: skip
_PAGING = {"limit", "marker", "sort_key", "sort_dir"}
_EQUAL_COLUMNS = {
    "reservation_id": "reservation_id", "key_name": "key_name", "vm_state": "vm_state",
    "task_state": "task_state", "user_id": "user_id", "availability_zone": "availability_zone",
    "hostname": "hostname", "node": "node", "description": "description",
    "display_description": "description", "access_ip_v4": "access_ip_v4",
    "access_ip_v6": "access_ip_v6", "root_device_name": "root_device", "locked_by": "locked_by",
    "auto_disk_config": "disk_config", "disk_config": "disk_config",
}  # fmt: skip


async def index(app: App, req: Request) -> Any:
    """GET /servers"""
    order, found = await _page(app, req, "index")
    views = [server_view.basic(s, req.base_url) for s in found]
    return _with_next(req, order, (found, views))


async def list_detail(app: App, req: Request) -> Any:
    """GET /servers/detail"""
    order, found = await _page(app, req, "detail")
    views = await one.views(app, req, found)
    return _with_next(req, order, (found, [_written(view) for view in views]))


def _written(view: dict[str, Any]) -> msgspec.Raw:
    """At once, as bytes: a thousand views of fifty keys would not stay in the caches."""
    view.pop("server_groups", None)  # only where one server is shown
    return msgspec.Raw(msgspec.json.encode(view))


async def _page(app: App, req: Request, kind: str) -> tuple[Order, list[Server]]:
    _refuse_unknown(req)
    want = _wanted(req, kind)
    order = lookup.order(req, app.config.max_limit, _SORT_KEYS, _DEFAULT_SORT)
    if want is None or order.limit == 0:
        return order, []
    async with app.cell_db.read() as tx:
        return order, await store.list_where(tx, want, order)


def _refuse_unknown(req: Request) -> None:
    if req.version < (2, 75):
        return
    known = _FOR_ALL | _OTHERS | _PAGING
    for name in req.query.names():
        if name not in known:
            raise Invalid(
                f"Additional properties are not allowed ('{name[:100]}' was unexpected)",
                field=name[:100],
            )


def _wanted(req: Request, kind: str) -> ServerFilter | None:
    """The filter; None when nothing can match."""
    admin = lookup.is_admin(req)
    allowed = _FOR_ALL | (_OTHERS if req.allowed(_P + "allow_all_filters", {}) else set())
    q = {name: req.query.all(name)[-1] for name in req.query.names() if name in allowed}
    everyone = _all_projects(req, kind)
    project_id = req.caller.project_id if not everyone else None
    if everyone:
        project_id = q.get("project_id") or q.get("tenant_id")
    fields: dict[str, Any] = {"project_id": project_id}
    if not _add_states(fields, req, q, admin=admin):
        return None
    _add_times(fields, req, q)
    _add_tags(fields, req, q)
    equals: dict[str, Any] = {c: q[n] for n, c in _EQUAL_COLUMNS.items() if n in q}
    if q.get("launch_index", "").isdigit():
        equals["launch_index"] = int(q["launch_index"])
    if "power_state" in q:
        equals["power_state"] = _integer(q["power_state"], "power_state")
    if "progress" in q:
        equals["progress"] = _integer(q["progress"], "progress")
    if "config_drive" in q:
        equals["config_drive"] = q["config_drive"].strip().lower() in ("true", "1", "yes", "on")
    if "uuid" in q:
        fields["ids"] = tuple(req.query.all("uuid"))
    if "locked" in q and req.version >= (2, 73):
        fields["locked"] = terms.parse_truth(q["locked"], "locked")
    asked = [patterns.of_address(q.get("ip"), "ip")]
    if admin or req.version >= (2, 5):
        asked.append(patterns.of_address(q.get("ip6"), "ip6"))
    return ServerFilter(
        name=patterns.of_name(q.get("name") or q.get("display_name")),
        image_id=q.get("image") or q.get("image_ref"),
        flavor_id=q.get("flavor"),
        host=q.get("host"),
        addresses=tuple(a for a in asked if a),
        metadata=_metadata(q),
        equals=equals,
        **fields,
    )


def _all_projects(req: Request, kind: str) -> bool:
    text = req.query.get("all_tenants")
    if text is None:
        return False
    wanted = text == "" or terms.parse_truth(text, "all_tenants")
    if wanted:
        req.authorize(lookup.own(req), f"{_P}{kind}:get_all_tenants")
    return wanted


def _add_states(fields: dict[str, Any], req: Request, q: dict[str, str], *, admin: bool) -> bool:
    """Conditions from status and deleted; False when no server can meet them."""
    if "deleted" in q and admin:
        fields["deleted"] = terms.parse_truth(q["deleted"], "deleted")
    words = req.query.all("status")
    if not words:
        return True
    vms: set[str] = set()
    tasks: set[str] = set()
    for word in words:
        found = states.states_of(word)
        if found is None:
            raise_unknown = req.version >= (2, 38)
            if raise_unknown:
                raise Invalid(f"Invalid status value: {word[:100]}", field="status")
            continue
        vms.update(found[0])
        tasks.update(found[1])
    if not vms:
        return False
    if states.DELETED in vms:
        if not admin:
            raise Forbidden("Only administrators may list deleted instances", code="deleted")
        fields["deleted"] = True
    fields["vm_states"] = tuple(vms)
    named = {t for t in tasks if t}
    if named and "" not in tasks:  # a status that is all task: REBOOT, PASSWORD, REBUILD
        fields["task_states"] = tuple(named)
    return True


def _add_times(fields: dict[str, Any], req: Request, q: dict[str, str]) -> None:
    if "changes-since" in q:
        fields["changes_since"] = lookup.moment(req, "changes-since")
        fields["with_deleted"] = "deleted" not in fields
    if "changes-before" in q and req.version >= (2, 66):
        fields["changes_before"] = lookup.moment(req, "changes-before")
        fields["with_deleted"] = "deleted" not in fields
        since = fields.get("changes_since")
        if since is not None and fields["changes_before"] < since:
            raise Invalid(
                "The value of changes-since must be less than or equal to changes-before.",
                field="changes-since",
            )


def _add_tags(fields: dict[str, Any], req: Request, q: dict[str, str]) -> None:
    if req.version < (2, 26):
        return
    for name, field in (
        ("tags", "tags_all"),
        ("tags-any", "tags_any"),
        ("not-tags", "tags_none"),
        ("not-tags-any", "tags_none_any"),
    ):
        if name in q:
            fields[field] = tuple(t for t in q[name].split(",") if t)


def _metadata(q: dict[str, str]) -> dict[str, str]:
    given = q.get("metadata")
    if not given:
        return {}
    try:
        value = json.loads(given.replace("'", '"'))
    except ValueError as e:
        raise Invalid("Invalid metadata filter", field="metadata") from e
    if not isinstance(value, dict):
        raise Invalid("Invalid metadata filter", field="metadata")
    wanted = {str(k): str(v) for k, v in value.items()}
    for key, text in wanted.items():
        if not terms.METADATA_KEY.fullmatch(key) or "\x00" in text:
            raise Invalid("Invalid metadata filter", field="metadata")
    return wanted


def _integer(text: str, field: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Invalid(f"Invalid value for {field}: {text[:50]}", field=field)
    return int(text)


def _with_next(req: Request, order: Order, shown: tuple[list[Server], list[Any]]) -> dict[str, Any]:
    found, views = shown
    body: dict[str, Any] = {"servers": views}
    if found and len(found) == order.limit:
        body["servers_links"] = lookup.next_links(req, found[-1].id)
    return body
