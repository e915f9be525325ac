# SPDX-License-Identifier: Apache-2.0
"""Sagas: work of several steps over several parts, that ends done or undone, never in between.

A saga is data: named steps, each with its undo. Its state is a row, written inside the caller's
transaction, so the order and the thing ordered appear together or not at all::

    BOOT = Saga(
        "server.boot",
        steps=(
            Step("claim", claim, undo=release),
            Step("make_ports", make_ports, undo=drop_ports),
            Step("ensure_machine", ensure_machine, undo=destroy_machine),
        ),
        on_done=set_active,
        on_failed=set_error,
    )

    runner = Runner(db, table, app, [BOOT])       # table = add_table(metadata), once
    await runner.launch(tasks)
    async with db.write() as tx:
        await store.insert(tx, server)
        await runner.start(tx, BOOT, server.id, {"flavor": flavor.id})

**Steps** are ``async (app, state) -> dict | None``; what one returns is merged into the state,
which is JSON and all that later steps, undos and a restarted process know. A step runs outside of
any transaction and **must stand being run again**: the process may die after the work and before
it is noted. An undo must stand that its step was done, half done, or never begun, and being run
again after it succeeded. Derive names and ids of what a step makes from the state (put them there
when the saga starts), not from chance: a step that is run again then finds what it made.

**Failure**: Unavailable, Timeout and Busy are tried again within the step's `Retry` budget; any
other error turns the saga at once. From the failed step, that one included, undos run backwards.
An undo is tried for ever, with pauses: it must not give up, or something stays behind.

**Hooks** run inside the transaction that notes the turn of events, so a row and its saga cannot
disagree: ``async (app, tx, run)``. `on_done`; `on_turn`, at the first failure, ``run.fault`` says
which; `on_failed`, when all is undone.

**Cancelling**: `Runner.cancel` turns a saga at the next boundary between steps; its hooks see
``run.cancelled``. Sagas of one subject run one after the other, in the order they were started:
a delete that is started behind a boot finds it done or undone.

**Processes**: a runner claims a row with a lease and a fence that grows with each claim. All it
writes carries the fence; who lost the lease cannot write. A killed process's sagas are taken up
by another when the lease runs out, or at once by a new process of the same `owner`.

Every saga has a test made with `octostack.testing.sagas`, which fails it at every step, undoes it
twice, cancels it and kills the process before and after each step.

Read next: `model` (what an author writes), `runner` (what drives it), `store` (its rows).
"""

from octostack.runtime.saga.model import Retry, Run, Saga, Step
from octostack.runtime.saga.runner import Pace, Runner, current
from octostack.runtime.saga.store import add_table

__all__ = ["Pace", "Retry", "Run", "Runner", "Saga", "Step", "add_table", "current"]
