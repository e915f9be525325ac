# SPDX-License-Identifier: Apache-2.0
"""Deleting a server: its machine, its ports, its place, then the row. Nothing is undone.

It waits behind whatever saga of the server is open; a boot is cancelled first and finds its own
way back. On a host that is down only our side is cleaned: when its agent returns and still holds
the machine, `loops.hosts` has it removed.
"""

from typing import Any

from octostack.base import clock
from octostack.base.errors import Unavailable
from octostack.runtime.db import Tx
from octostack.runtime.saga import Retry, Run, Saga, Step
from octostack.services.compute.core import states
from octostack.services.compute.model import ActionEvent, Fault, Server
from octostack.services.compute.store.api_db import groups
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import actions, hosts, servers

State = dict[str, Any]

_PATIENT = Retry(budget_s=86400.0, pause_max_s=10.0)


async def remove_machine(app: App, state: State) -> None:
    """The machine is gone from its host, if the host can be asked."""
    async with app.cell_db.read() as tx:
        server = await servers.find(tx, state["server_id"])
        host = await hosts.find(tx, server.host) if server and server.host else None
    if server is None or not server.host:
        return
    try:
        await app.agent(server.host).remove_machine(server.id)
    except Unavailable:
        if host is not None and app.is_up(host):
            raise


async def drop_ports(app: App, state: State) -> None:
    """Ports made for it are deleted, others unbound."""
    await app.network.release_device(state["server_id"])


async def release(app: App, state: State) -> None:
    """Its place and its seat in a group are free."""
    await app.placement.release(state["server_id"])
    if state.get("group_id"):
        async with app.api_db.write() as tx:
            await groups.remove_member(tx, state["server_id"])


async def done(app: App, tx: Tx, run: Run) -> None:
    """The row says so."""
    server = await servers.find(tx, run.subject)
    if server is None:
        return
    now = clock.now()
    gone = await servers.update(
        tx,
        server,
        vm_state=states.DELETED,
        task_state=None,
        power_state=states.NOSTATE,
        terminated_at=now,
        deleted_at=now,
        progress=0,
        boot={},
        order={},
        user_data=None,
    )
    await hosts.drop_tokens(tx, server.id)
    await actions.finish(tx, server.id, _event(run, server, "Success"))
    tx.after_commit(lambda: _forget(app, gone))


async def failed(_app: App, tx: Tx, run: Run) -> None:
    """It could not be deleted; the user may try again."""
    server = await servers.find(tx, run.subject)
    if server is None:
        return
    text = run.fault.message if run.fault else ""
    fault = Fault(code=500, message=text[:255], created_at=clock.now())
    await servers.update(tx, server, vm_state=states.ERROR, task_state=None, fault=fault)
    await actions.finish(tx, server.id, _event(run, server, "Error"), message="Error")


DELETE = Saga(
    "server.delete",
    steps=(
        Step("machine", remove_machine, retry=_PATIENT),
        Step("ports", drop_ports, retry=_PATIENT),
        Step("place", release, retry=_PATIENT),
    ),
    on_done=done,
    on_failed=failed,
)


def _event(run: Run, server: Server, result: str) -> ActionEvent:
    return ActionEvent(
        action_id=0,
        event="compute_terminate_instance",
        started_at=run.created_at,
        finished_at=clock.now(),
        result=result,
        host=server.host,
        details=run.fault.message if run.fault else None,
    )


def _forget(app: App, gone: Server) -> None:
    app.world.put_server(gone)
    app.forget(gone.id)
    app.tell(gone.id)
