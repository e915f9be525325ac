# SPDX-License-Identifier: Apache-2.0
"""Every order but boot and delete: a row with a task state is an order, and this carries it out.

The loop reads which rows have a task state and works on each that nobody works on yet. The work
is written so that doing it again does no harm, because after a crash it is done again. It ends by
writing where the server rests (`core.states`), or, when it cannot be done, a fault.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from octostack.base import clock, log
from octostack.base.errors import (
    Busy,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OctoError,
    Timeout,
    Unavailable,
    Unsupported,
)
from octostack.contracts.api import ApiCall
from octostack.contracts.compute_agent import MachineState
from octostack.contracts.identity import Caller
from octostack.runtime.lease import Leases
from octostack.runtime.tasks import Supervisor
from octostack.services.compute.core import machine, states
from octostack.services.compute.loops.boot import drive_files, settled
from octostack.services.compute.model import ActionEvent, Fault, Server
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import actions, servers

_log = log.get("tasks")
_POLL_S = 1.0
_OTHERS = (*states.BOOT_TASKS, "deleting")

# What failed without changing the machine: the server goes on as it was.
_HARMLESS = ("image_snapshot", "image_backup", "updating_password")


class Tasks:
    """Who is being worked on in this process; a lease keeps others off."""

    def __init__(self, app: App, tasks: Supervisor, leases: Leases) -> None:
        self._app = app
        self._tasks = tasks
        self._leases = leases
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Start what is not being worked on, here or elsewhere."""
        for lost in await self._leases.renew() & self._busy.keys():
            self._busy[lost].cancel()
        free = (await self._waiting()).keys() - self._busy.keys()
        if not free:
            return
        taken = await self._leases.take(free)
        waiting = await self._waiting()  # who had the lease before may have done it meanwhile
        for server_id in taken:
            if server_id in waiting:
                server = waiting[server_id]
                work = self._tasks.spawn(f"{server.task_state} {server_id}", self._work(server))
                self._busy[server_id] = work
            else:
                await self._leases.drop(server_id)

    async def _waiting(self) -> dict[str, Server]:
        async with self._app.cell_db.read() as tx:
            return {s.id: s for s in await servers.list_with_task(tx, _OTHERS)}

    async def _work(self, server: Server) -> None:
        log.request_id.set(str(server.order.get("request_id", "")))
        try:
            await carry_out(self._app, server)
        except Exception:  # a supervisor: the row is an order still, and is taken up again
            _log.exception("task stumbled", server=server.id, task=server.task_state)
        finally:
            await self._leases.drop(server.id)
            self._busy.pop(server.id, None)


async def carry_out(app: App, server: Server) -> None:
    """Do what the task state says, and write how it ended."""
    work = _WORK.get(server.task_state or "")
    began = clock.now()
    try:
        if work is None or not server.host:
            raise Conflict(f"Nothing can be done about task state {server.task_state}")
        changes = await work(app, server)
    except (Unavailable, Timeout, Busy) as e:
        ordered_at = float(server.order.get("at", began))
        if clock.now() - ordered_at < app.config.task_timeout_s:
            return  # the loop comes back to it
        await _fail(app, server, e, began)
    except OctoError as e:
        await _fail(app, server, e, began)
    else:
        await _finish(app, server, changes, began)


async def _drive(app: App, server: Server) -> dict[str, Any]:
    """The machine is made to be as the row wants it."""
    spec = machine.spec(server, await drive_files(app, server), app.config.stop_timeout_s)
    seen = await app.agent(server.host or "").ensure_machine(spec)
    seen = await settled(app, server, seen, app.config.task_timeout_s)
    return {"power_state": states.POWER.get(seen.power, states.NOSTATE)}


async def _reboot(app: App, server: Server) -> dict[str, Any]:
    agent, hard = app.agent(server.host or ""), server.task_state == "rebooting_hard"
    if hard:  # brings back what was paused, suspended or stopped as well
        spec = machine.spec(server, await drive_files(app, server), app.config.stop_timeout_s)
        await agent.ensure_machine(spec)
    request_id = str(server.order.get("request_id", server.generation))
    seen = await agent.reboot(server.id, hard, request_id)
    seen = await _quiet(app, server, seen)
    return {"power_state": states.POWER.get(seen.power, states.NOSTATE)}


async def _rescue(app: App, server: Server) -> dict[str, Any]:
    return await _drive(app, server)


async def _unrescue(app: App, server: Server) -> dict[str, Any]:
    boot = {k: v for k, v in server.boot.items() if k != "rescue_image"}
    done = await _drive(app, msgspec.structs.replace(server, boot=boot))
    return done | {"boot": boot}


async def _rebuild(app: App, server: Server) -> dict[str, Any]:
    done = await _drive(app, server)
    return done | {"launched_at": clock.now(), "fault": None, "progress": 100}


async def _snapshot(app: App, server: Server) -> dict[str, Any]:
    agent = app.agent(server.host or "")
    image_id = str(server.order["image_id"])
    disk_format = str(server.order.get("disk_format", "qcow2"))
    while not await _is_whole(app, image_id):
        progress = await agent.snapshot(server.id, image_id, disk_format)
        if progress.status == "done":
            break
        if progress.status == "failed":
            await app.images.discard(image_id)
            raise Invalid(progress.fault or "The snapshot failed", code="SnapshotFailed")
        await app.news(server.id, _POLL_S)
    await agent.drop_snapshot(image_id)
    return {}


async def _is_whole(app: App, image_id: str) -> bool:
    """Has the image its data already? So it has after a crash between the copy and our note."""
    try:
        await app.images.locate(image_id)
    except Conflict:
        return False
    return True


async def _backup(app: App, server: Server) -> dict[str, Any]:
    """A snapshot, and then the oldest backups of its kind go, as many as are too many."""
    await _snapshot(app, server)
    caller = msgspec.convert(server.order["caller"], Caller)
    for image_id in await _excess(app, server, caller):
        try:
            await app.images.ask(caller, ApiCall(method="DELETE", path=f"/v2/images/{image_id}"))
        except (NotFound, Forbidden) as e:
            _log.info("old backup stays", server=server.id, image=image_id, why=e.message)
    return {}


async def _excess(app: App, server: Server, caller: Caller) -> list[str]:
    """The backups beyond the rotation, oldest first."""
    kind, rotation = str(server.order["backup_type"]), int(server.order["rotation"])
    wanted = {"image_type": "backup", "backup_type": kind, "instance_uuid": server.id,
              "sort_key": "created_at", "sort_dir": "desc", "limit": "1000"}  # fmt: skip
    call = ApiCall(path="/v2/images", query=tuple(wanted.items()))
    found = msgspec.json.decode(await app.images.ask(caller, call))["images"]
    return [image["id"] for image in found[rotation:]][::-1]


async def _set_password(app: App, server: Server) -> dict[str, Any]:
    secret = str(server.order["admin_pass"])
    user = str(server.order.get("user", "root"))
    await app.agent(server.host or "").set_password(server.id, user, secret)
    return {}


_WORK: dict[str, Callable[[App, Server], Awaitable[dict[str, Any]]]] = {
    "powering-off": _drive,
    "powering-on": _drive,
    "pausing": _drive,
    "unpausing": _drive,
    "suspending": _drive,
    "resuming": _drive,
    "rebooting": _reboot,
    "rebooting_hard": _reboot,
    "rescuing": _rescue,
    "unrescuing": _unrescue,
    "rebuilding": _rebuild,
    "image_snapshot": _snapshot,
    "image_backup": _backup,
    "updating_password": _set_password,
}


async def _quiet(app: App, server: Server, seen: MachineState) -> MachineState:
    """Wait until a reboot is over. Raises Timeout, OctoError with the agent's fault."""
    deadline = clock.monotonic() + app.config.task_timeout_s
    while seen.busy:
        if clock.monotonic() > deadline:
            raise Timeout("The machine did not come back from its reboot in time")
        await app.news(server.id, _POLL_S)
        seen = await app.agent(server.host or "").look(server.id)
    if seen.fault:
        raise OctoError(seen.fault, code="RebootFailed")
    return seen


async def _finish(app: App, server: Server, changes: dict[str, Any], began: float) -> None:
    rests = states.rests_in(server)
    if rests:
        changes["vm_state"] = rests
    if "admin_pass" in server.boot and machine.wanted(server) == "running":
        changes["boot"] = machine.handed_over(changes.get("boot", server.boot))
    event = _event(server, began, "Success")
    try:
        async with app.cell_db.write() as tx:
            await servers.update(tx, server, task_state=None, order={}, **changes)
            await actions.finish(tx, server.id, event)
    except Conflict:
        _log.info("superseded", server=server.id, task=server.task_state)


async def _fail(app: App, server: Server, error: OctoError, began: float) -> None:
    changes: dict[str, Any] = {}
    task = server.task_state or ""
    refused = isinstance(error, Unsupported | Invalid | NotFound)
    if task not in _HARMLESS and not (task == "rebooting" and refused):
        changes["vm_state"] = states.ERROR
        changes["fault"] = Fault(
            code=500, message=error.message[:255], created_at=clock.now(), details=error.code
        )
    event = msgspec.structs.replace(_event(server, began, "Error"), details=error.message)
    _log.warning("task failed", server=server.id, task=task, why=error.message, code=error.code)
    try:
        async with app.cell_db.write() as tx:
            await servers.update(tx, server, task_state=None, order={}, **changes)
            await actions.finish(tx, server.id, event, message="Error")
    except Conflict:
        _log.info("superseded", server=server.id, task=task)


def _event(server: Server, began: float, result: str) -> ActionEvent:
    transition = states.RESTS[server.task_state or ""]
    return ActionEvent(
        action_id=0,
        event=_EVENTS.get(transition.action, f"compute_{transition.action}_instance"),
        started_at=began,
        finished_at=clock.now(),
        result=result,
        host=server.host,
    )


_EVENTS = {
    "createImage": "compute_snapshot_instance",
    "createBackup": "compute_backup_instance",
    "changePassword": "compute_set_admin_password",
    "rebuild": "compute_rebuild_instance",
}
