# SPDX-License-Identifier: Apache-2.0
"""Booting a server: claim a place, make its ports, order its machine, wait until it is wired.

The row in BUILD is the order; the saga's state holds only names. Every step reads the row afresh
and stops when the server is being deleted meanwhile. A build that fails on its host is undone and
begun again elsewhere, as often as the configuration says; then the server is in ERROR.
"""

from typing import Any

import msgspec

from octostack.base import clock
from octostack.base.errors import Conflict, Invalid, NotFound, OctoError, Timeout
from octostack.contracts.compute_agent import MachineState
from octostack.contracts.identity import Caller
from octostack.contracts.network import PlannedNic, PortSpec
from octostack.runtime.db import Tx
from octostack.runtime.saga import Retry, Run, Saga, Step
from octostack.services.compute.core import machine, metadata, states
from octostack.services.compute.loops import scheduler
from octostack.services.compute.model import ActionEvent, Fault, Server
from octostack.services.compute.store import addresses
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import actions, servers

State = dict[str, Any]

_LOOK_AGAIN_S = 2.0


async def claim(app: App, state: State) -> State:
    """A host with the resources claimed; the row says which."""
    server = await _building(app, state)
    host = await scheduler.place(app, server, tuple(state.get("tried", ())))
    server = await _note(
        app,
        server,
        host=host.host,
        node=host.hypervisor_hostname,
        availability_zone=app.world.zone(host.host),
        task_state="networking",
    )
    app.world.put_server(server)
    return {"host": host.host}


async def release(app: App, state: State) -> None:
    """Give the place back."""
    await app.placement.release(state["server_id"])
    server = await _find(app, state)
    if server is not None:
        async with app.cell_db.write() as tx:
            await servers.patch(tx, server.id, host=None, node=None, availability_zone=None)
        app.world.put_server(msgspec.structs.replace(server, host=None))


async def make_ports(app: App, state: State) -> None:
    """A port per NIC, bound to the host."""
    server = await _building(app, state)
    caller = msgspec.convert(state["caller"], Caller)
    app.plugged.setdefault(server.id, set())  # from here on what Network tells is kept
    nics = []
    for at, wanted in enumerate(server.boot.get("nics", ())):
        planned = msgspec.convert(wanted["planned"], PlannedNic)
        spec = PortSpec(
            device_id=server.id,
            key=str(at),
            network_id=planned.network_id,
            port_id=planned.port_id,
            fixed_ip=planned.fixed_ip,
            device_owner=f"compute:{server.availability_zone or 'nova'}",
            host=server.host or "",
            hostname=server.hostname,
            security_groups=tuple(server.boot.get("security_groups", ())),
        )
        nics.append(
            addresses.nic_of(await app.network.ensure_port(caller, spec), wanted.get("tag", ""))
        )
    await _note(app, server, nics=tuple(nics), task_state="spawning")


async def drop_ports(app: App, state: State) -> None:
    """Delete the ports made here and unbind the user's own."""
    await app.network.release_device(state["server_id"])
    server = await _find(app, state)
    if server is not None and server.nics:
        async with app.cell_db.write() as tx:
            await servers.patch(tx, server.id, nics=())


async def order_machine(app: App, state: State) -> None:
    """The machine is ordered from its host, and runs."""
    server = await _building(app, state)
    spec = machine.spec(server, await drive_files(app, server), app.config.stop_timeout_s)
    seen = await app.agent(state["host"]).ensure_machine(spec)
    await settled(app, server, seen, app.config.build_timeout_s)


async def drop_machine(app: App, state: State) -> None:
    """No machine of this server on that host."""
    if state.get("host"):
        await app.agent(state["host"]).remove_machine(state["server_id"])


async def wait_for_ports(app: App, state: State) -> None:
    """Every port is up on the host's switch; before that a guest would talk to nobody.

    Network tells when one comes up; what was told while this process was away is asked for.
    """
    server = await _building(app, state)
    deadline = clock.monotonic() + app.config.vif_timeout_s
    while {n.port_id for n in server.nics} - app.plugged.get(server.id, set()):
        ports = (await app.network.list_ports((server.id,))).get(server.id, [])
        waiting = [p.id for p in ports if p.status != "ACTIVE" and p.admin_state_up]
        if not waiting:
            return
        if clock.monotonic() > deadline:
            if not app.config.vif_is_fatal:
                return
            raise Invalid(
                f"Virtual Interface creation failed: port {waiting[0]} did not come up",
                code="VirtualInterfaceCreateException",
            )
        await app.news(server.id, _LOOK_AGAIN_S)
        await _building(app, state)


async def done(app: App, tx: Tx, run: Run) -> None:
    """The server is ACTIVE."""
    server = await servers.find(tx, run.subject)
    if server is None or server.task_state not in states.BOOT_TASKS:
        return
    now = clock.now()
    await servers.update(
        tx,
        server,
        vm_state=states.ACTIVE,
        task_state=None,
        power_state=states.RUNNING,
        launched_at=now,
        progress=100,
        fault=None,
        boot=machine.handed_over(server.boot),
    )
    event = ActionEvent(
        action_id=0,
        event="compute__do_build_and_run_instance",
        started_at=run.created_at,
        finished_at=now,
        result="Success",
        host=server.host,
    )
    await actions.finish(tx, server.id, event)
    tx.after_commit(lambda: app.forget(server.id))


async def failed(app: App, tx: Tx, run: Run) -> None:
    """All is undone: begin elsewhere, or say why not."""
    server = await servers.find(tx, run.subject)
    if server is None or run.cancelled or server.task_state not in states.BOOT_TASKS:
        return
    tried = [*run.state.get("tried", ()), *([run.state["host"]] if run.state.get("host") else [])]
    fault = run.fault
    elsewhere = fault is not None and fault.step == "machine" and fault.kind not in ("invalid",)
    if elsewhere and len(tried) < app.config.build_attempts:
        fresh = await servers.update(
            tx, server, task_state="scheduling", generation=server.generation + 1
        )
        again = {"server_id": fresh.id, "caller": run.state["caller"], "tried": tried}
        await app.runner.start(tx, BOOT, fresh.id, again)
        return
    now = clock.now()
    text = fault.message if fault else "The build was given up."
    code = 500
    await servers.update(
        tx,
        server,
        vm_state=states.ERROR,
        task_state=None,
        power_state=states.NOSTATE,
        boot=machine.handed_over(server.boot),
        fault=Fault(code=code, message=text[:255], created_at=now, details=_details(run)),
    )
    event = ActionEvent(
        action_id=0,
        event="compute__do_build_and_run_instance",
        started_at=run.created_at,
        finished_at=now,
        result="Error",
        host=tried[-1] if tried else None,
        details=text,
    )
    await actions.finish(tx, server.id, event, message="Error")
    tx.after_commit(lambda: app.forget(server.id))


BOOT = Saga(
    "server.boot",
    steps=(
        Step("claim", claim, undo=release),
        Step("ports", make_ports, undo=drop_ports),
        Step("machine", order_machine, undo=drop_machine),
        Step("wire", wait_for_ports, retry=Retry(budget_s=120.0)),
    ),
    on_done=done,
    on_failed=failed,
)


async def settled(app: App, server: Server, seen: MachineState, timeout_s: float) -> MachineState:
    """Wait until the agent is no longer busy with our order. Raises OctoError with its fault."""
    deadline = clock.monotonic() + timeout_s
    while seen.busy or seen.generation < server.generation:
        if seen.fault and not seen.busy:
            break
        if clock.monotonic() > deadline:
            raise Timeout(f"The host did not bring the machine about in {timeout_s:.0f} s")
        await app.news(server.id, _LOOK_AGAIN_S)
        async with app.cell_db.read() as tx:
            now = await servers.find(tx, server.id)
        if now is None or now.generation != server.generation:
            raise Conflict(f"Instance {server.id} was changed meanwhile", code="Superseded")
        seen = await app.agent(server.host or "").look(server.id)
    if seen.fault:
        raise OctoError(seen.fault, code="BuildAbortException")
    return seen


async def drive_files(app: App, server: Server) -> tuple[Any, ...]:
    """The config drive of a server that wants one."""
    if not server.config_drive:
        return ()
    ports = (await app.network.list_ports((server.id,))).get(server.id, [])
    guest = metadata.Guest(
        server=server, ports=tuple(ports), domain=app.config.dhcp_domain, secret=app.secret
    )
    return metadata.config_drive(guest, server.boot.get("admin_pass"))


async def _find(app: App, state: State) -> Server | None:
    async with app.cell_db.read() as tx:
        return await servers.find(tx, state["server_id"])


async def _building(app: App, state: State) -> Server:
    """The row, if it still wants to be built. Raises Conflict, NotFound."""
    server = await _find(app, state)
    if server is None:
        raise NotFound(f"Instance {state['server_id']} could not be found.")
    if server.task_state not in states.BOOT_TASKS:
        raise Conflict(f"Instance {server.id} is not to be built any more", code="BuildAborted")
    return server


async def _note(app: App, server: Server, **changes: Any) -> Server:
    async with app.cell_db.write() as tx:
        return await servers.update(tx, server, **changes)


def _details(run: Run) -> str:
    if run.fault is None:
        return ""
    return f"{run.fault.code} in step {run.fault.step} of {run.saga} ({run.request_id})"
