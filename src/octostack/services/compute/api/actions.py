# SPDX-License-Identifier: Apache-2.0
"""POST /servers/{id}/action: the table of actions, and those that only give an order.

An order is one write: the task state it sets, a new generation where the machine shall change,
and what the task loop needs to carry it out.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from octostack.base import clock
from octostack.base.errors import Conflict, Invalid, NotFound, Unsupported
from octostack.runtime.http import Request, Response, Schema, Versions
from octostack.services.compute.api import consoles, floating_ips, lookup, snapshots
from octostack.services.compute.api.create import action, image, new_password
from octostack.services.compute.api.rebuild import rebuild
from octostack.services.compute.api.servers import delete
from octostack.services.compute.core import states
from octostack.services.compute.model import Server
from octostack.services.compute.schema import actions as schema
from octostack.services.compute.store import addresses
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import actions as action_rows
from octostack.services.compute.store.cell_db import servers

_P = "os_compute_api:"

Handler = Callable[[App, Request, Any], Awaitable[Any]]


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One action: who may, what its body is, in which versions, and who does it."""

    rule: str
    handler: Any
    body: Any = None  # Schema | Versions
    status: int = 202
    since: tuple[int, int] = (2, 1)
    until: tuple[int, int] = (2, 999)


async def act(app: App, req: Request) -> Any:
    """POST /servers/{server_id}/action"""
    if not isinstance(req.body, dict) or len(req.body) != 1:
        raise Invalid("Malformed request body: exactly one action is expected", field="body")
    (name,) = req.body
    found = ACTIONS.get(name)
    if found is None:
        raise Invalid(f"There is no such action: {str(name)[:100]}", field="body")
    if not found.since <= req.version <= found.until:
        raise NotFound("The resource could not be found.", code="version")
    req.rule = found.rule
    await lookup.server(app, req)  # who may not even know of it learns nothing of its body
    _check(found.body or schema.plain(name), req)
    answer = await found.handler(app, req, req.body[name])
    if isinstance(answer, Response):
        answer.status = answer.status or found.status
        return answer
    return Response(answer, status=found.status)


def _check(body: Schema | Versions, req: Request) -> None:
    schema_now = body.at(req.version) if isinstance(body, Versions) else body
    if schema_now is not None:
        schema_now.check(req.body)


async def give_order(
    app: App, req: Request, name: str, /, order: dict[str, Any] | None = None, **changes: Any
) -> Server:
    """Write the order that `name` means, if the server's state allows it. Raises Conflict."""
    seen = await lookup.server_for(app, req, name)
    return await write_order(app, req, (name, seen), order, **changes)


async def write_order(
    app: App,
    req: Request,
    what: tuple[str, Server],
    order: dict[str, Any] | None = None,
    **changes: Any,
) -> Server:
    """The same for a server that was looked up already."""
    name, seen = what
    async with app.cell_db.write() as tx:
        server = await servers.get(tx, seen.id)
        transition = states.check(name, server)
        changes["task_state"] = transition.sets
        if transition.wants:
            changes["generation"] = server.generation + 1
        changes["order"] = {"request_id": req.caller.request_id, "at": clock.now()} | (order or {})
        ordered = await servers.update(tx, server, **changes)
        await action_rows.insert(tx, action(req.caller, server.id, transition.action))
        tx.after_commit(app.wake_tasks)
    return ordered


def _simple(name: str) -> Handler:
    async def order(app: App, req: Request, _body: Any) -> None:
        await give_order(app, req, name)

    return order


async def _reboot(app: App, req: Request, body: Any) -> None:
    await give_order(app, req, f"reboot-{body['type'].lower()}")


async def _lock(app: App, req: Request, body: Any) -> None:
    server = await lookup.server(app, req)
    own = server.project_id == req.caller.project_id
    if server.locked_by and own:
        return
    reason = body.get("locked_reason") if isinstance(body, dict) else None
    async with app.cell_db.write() as tx:
        by = "owner" if own else "admin"
        await servers.patch(tx, server.id, locked_by=by, locked_reason=reason)
        await action_rows.insert(tx, action(req.caller, server.id, "lock"))


async def _unlock(app: App, req: Request, _body: Any) -> None:
    server = await lookup.server(app, req)
    expected = "owner" if server.project_id == req.caller.project_id else "admin"
    if server.locked_by and server.locked_by != expected:
        req.authorize(lookup.target_of(server), lookup.UNLOCK_OVERRIDE)
    async with app.cell_db.write() as tx:
        await servers.patch(tx, server.id, locked_by=None, locked_reason=None)
        await action_rows.insert(tx, action(req.caller, server.id, "unlock"))


async def _rescue(app: App, req: Request, body: Any) -> Any:
    given = body if isinstance(body, dict) else {}
    server = await lookup.server_for(app, req, "rescue")
    image_id = given.get("rescue_image_ref") or server.image_id
    facts = await image(app, req.caller, image_id)
    if facts.status != "active":
        raise Invalid(f"Image {image_id} is not active.", code="ImageNotActive")
    password = given.get("adminPass") or new_password()
    boot = server.boot | {"rescue_image": msgspec.to_builtins(facts), "admin_pass": password}
    await write_order(app, req, ("rescue", server), boot=boot)
    return {"adminPass": password}


async def _change_password(app: App, req: Request, body: Any) -> None:
    await give_order(app, req, "changePassword", {"admin_pass": body["adminPass"]})


async def _reset_state(app: App, req: Request, body: Any) -> None:
    """The row is told; whatever was under way finds that it was superseded."""
    seen = await lookup.server(app, req)
    async with app.cell_db.write() as tx:
        server = await servers.get(tx, seen.id)
        await servers.update(
            tx,
            server,
            vm_state=states.ACTIVE if body["state"] == "active" else states.ERROR,
            task_state=None,
            generation=server.generation + 1,
            order={},
        )


async def _inject_network(app: App, req: Request, _body: Any) -> None:
    """What the row keeps of its interfaces is read anew from Network."""
    server = await lookup.server(app, req)
    fresh, _ = await addresses.fresh(app, [server])
    async with app.cell_db.write() as tx:
        await servers.patch(tx, server.id, nics=fresh[0].nics)


async def _add_group(app: App, req: Request, body: Any) -> None:
    await _change_groups(app, req, (body["name"],), ())


async def _remove_group(app: App, req: Request, body: Any) -> None:
    await _change_groups(app, req, (), (body["name"],))


async def _change_groups(
    app: App, req: Request, add: tuple[str, ...], remove: tuple[str, ...]
) -> None:
    server = await lookup.server(app, req)
    await app.network.change_security_groups(req.caller, server.id, add, remove)


async def _restore(app: App, req: Request, _body: Any) -> None:
    """Nothing is ever deleted softly here, so there is nothing to restore."""
    server = await lookup.server(app, req)
    raise Conflict(
        f"Cannot 'restore' instance {server.id} while it is in vm_state {server.vm_state}",
        code="InstanceInvalidState",
    )


async def _force_delete(app: App, req: Request, _body: Any) -> None:
    await delete(app, req)


def _later(what: str) -> Handler:
    async def refuse(app: App, req: Request, _body: Any) -> None:
        await lookup.server(app, req)
        raise Unsupported(f"This cloud does not offer {what} yet.", code="NotImplemented")

    return refuse


ACTIONS: dict[str, Action] = {
    "os-start": Action(rule=_P + "servers:start", handler=_simple("os-start")),
    "os-stop": Action(rule=_P + "servers:stop", handler=_simple("os-stop")),
    "reboot": Action(rule=_P + "servers:reboot", handler=_reboot, body=schema.REBOOT),
    "pause": Action(rule=_P + "os-pause-server:pause", handler=_simple("pause")),
    "unpause": Action(rule=_P + "os-pause-server:unpause", handler=_simple("unpause")),
    "suspend": Action(rule=_P + "os-suspend-server:suspend", handler=_simple("suspend")),
    "resume": Action(rule=_P + "os-suspend-server:resume", handler=_simple("resume")),
    "lock": Action(rule=_P + "os-lock-server:lock", handler=_lock, body=schema.LOCK),
    "unlock": Action(rule=_P + "os-lock-server:unlock", handler=_unlock),
    "rescue": Action(rule=_P + "os-rescue", handler=_rescue, body=schema.RESCUE, status=200),
    "unrescue": Action(rule=_P + "os-unrescue", handler=_simple("unrescue")),
    "rebuild": Action(rule=_P + "servers:rebuild", handler=rebuild, body=schema.REBUILD),
    "createImage": Action(
        rule=_P + "servers:create_image", handler=snapshots.create_image, body=schema.CREATE_IMAGE
    ),
    "createBackup": Action(
        rule=_P + "os-create-backup", handler=snapshots.create_backup,
        body=schema.CREATE_BACKUP,
    ),
    "changePassword": Action(
        rule=_P + "os-admin-password", handler=_change_password, body=schema.CHANGE_PASSWORD
    ),
    "os-getConsoleOutput": Action(
        rule=_P + "os-console-output", handler=consoles.output, body=schema.CONSOLE_OUTPUT,
        status=200,
    ),
    "os-getVNCConsole": Action(
        rule=_P + "os-remote-consoles", handler=consoles.old_console, body=schema.VNC_CONSOLE,
        status=200, until=(2, 5),
    ),
    "os-getSerialConsole": Action(
        rule=_P + "os-remote-consoles", handler=consoles.old_console, body=schema.SERIAL_CONSOLE,
        status=200, until=(2, 5),
    ),
    "os-resetState": Action(
        rule=_P + "os-admin-actions:reset_state", handler=_reset_state, body=schema.RESET_STATE
    ),
    "addSecurityGroup": Action(
        rule=_P + "os-security-groups:add", handler=_add_group, body=schema.ADD_GROUP
    ),
    "removeSecurityGroup": Action(
        rule=_P + "os-security-groups:remove", handler=_remove_group, body=schema.REMOVE_GROUP
    ),
    "addFloatingIp": Action(
        rule=_P + "os-floating-ips:add", handler=floating_ips.add, body=schema.ADD_FLOATING,
        until=(2, 43),
    ),
    "removeFloatingIp": Action(
        rule=_P + "os-floating-ips:remove", handler=floating_ips.remove,
        body=schema.REMOVE_FLOATING, until=(2, 43),
    ),
    "forceDelete": Action(rule=_P + "os-deferred-delete:force", handler=_force_delete),
    "injectNetworkInfo": Action(
        rule=_P + "os-admin-actions:inject_network_info", handler=_inject_network
    ),
    "restore": Action(rule=_P + "os-deferred-delete:restore", handler=_restore),
    "resize": Action(rule=_P + "servers:resize", handler=_later("resize")),
    "confirmResize": Action(rule=_P + "servers:confirm_resize", handler=_later("resize")),
    "revertResize": Action(rule=_P + "servers:revert_resize", handler=_later("resize")),
    "migrate": Action(rule=_P + "os-migrate-server:migrate", handler=_later("migration")),
    "os-migrateLive": Action(
        rule=_P + "os-migrate-server:migrate_live", handler=_later("live migration")
    ),
    "evacuate": Action(rule=_P + "os-evacuate", handler=_later("evacuation")),
    "shelve": Action(rule=_P + "os-shelve:shelve", handler=_later("shelving")),
    "unshelve": Action(rule=_P + "os-shelve:unshelve", handler=_later("shelving")),
}  # fmt: skip
