# SPDX-License-Identifier: Apache-2.0
"""The state machine: what may be done when, and what the API calls it."""

import msgspec
import pytest

from octostack.base.errors import Conflict
from octostack.services.compute.core import defaults, machine, states
from octostack.services.compute.model import Server

SERVER = Server(id="s", project_id="p", user_id="u", name="n", flavor=defaults.FLAVORS[0],
                vm_state="active", task_state=None, launched_at=1.0)  # fmt: skip


def with_(**changes: object) -> Server:
    return msgspec.structs.replace(SERVER, **changes)


def test_every_order_knows_where_it_rests_and_what_it_is_called() -> None:
    for name, t in states.ACTIONS.items():
        if t.sets and t.sets not in states.BOOT_TASKS:
            assert states.RESTS[t.sets] == t, name
            for vm in t.vm:
                assert states.status(with_(vm_state=vm, task_state=t.sets)) != "UNKNOWN"


def test_every_state_is_reachable_and_has_a_way_out() -> None:
    reached = {t.rests for t in states.ACTIONS.values() if t.rests} | {"building", "error"}
    left = {vm for t in states.ACTIONS.values() for vm in t.vm}
    named = {vm for vm, _ in states.STATUS}
    assert reached == named and left == named - {"deleted"}


@pytest.mark.parametrize(
    ("action", "vm", "task", "ok"),
    [
        ("os-stop", "active", None, True), ("os-stop", "stopped", None, False),
        ("os-stop", "active", "pausing", False), ("os-start", "stopped", None, True),
        ("os-start", "active", None, False), ("reboot-soft", "stopped", None, False),
        ("reboot-hard", "stopped", None, True), ("reboot-hard", "active", "rebooting", True),
        ("delete", "building", "spawning", True), ("delete", "active", "deleting", True),
        ("createImage", "active", "image_snapshot", False), ("unpause", "paused", None, True),
    ],
)  # fmt: skip
def test_check(action: str, vm: str, task: str | None, ok: bool) -> None:
    server = with_(vm_state=vm, task_state=task)
    if ok:
        assert states.check(action, server).action
        return
    with pytest.raises(Conflict, match=r"while it is in (vm_state|task_state)"):
        states.check(action, server)


@pytest.mark.parametrize(
    ("vm", "task", "power", "rests"),
    [
        ("active", None, "shutdown", "stopped"), ("active", None, "crashed", "stopped"),
        ("stopped", None, "running", "active"), ("active", "powering-off", "shutdown", None),
        ("rescued", None, "running", None), ("error", None, "running", None),
    ],
)  # fmt: skip
def test_what_a_host_sees(vm: str, task: str | None, power: str, rests: str | None) -> None:
    changes = states.observed(with_(vm_state=vm, task_state=task), power)
    assert changes.get("vm_state") == rests
    assert changes["power_state"] == states.POWER[power]


def test_locked() -> None:
    states.refuse_locked(SERVER, may_override=False)
    states.refuse_locked(with_(locked_by="owner"), may_override=True)
    with pytest.raises(Conflict, match="is locked"):
        states.refuse_locked(with_(locked_by="owner"), may_override=False)


def test_the_machine_is_wanted_as_the_order_says_else_as_it_rests() -> None:
    assert machine.wanted(SERVER) == "running"
    assert machine.wanted(with_(task_state="powering-off")) == "stopped"
    assert machine.wanted(with_(vm_state="paused")) == "paused"
    assert machine.wanted(with_(vm_state="paused", task_state="unpausing")) == "running"
    assert machine.wanted(with_(vm_state="stopped", task_state="image_snapshot")) == "stopped"
    assert machine.wanted(with_(task_state="rebuilding")) == "running"
    rebuilt = with_(vm_state="stopped", task_state="rebuilding")
    assert machine.wanted(rebuilt) == "stopped" and states.rests_in(rebuilt) == "stopped"


def test_status_words() -> None:
    assert states.states_of("shutoff") == (("stopped",), ("",))
    assert states.states_of("RESIZE") == ((), ())
    assert states.states_of("NONSENSE") is None
