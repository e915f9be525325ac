# SPDX-License-Identifier: Apache-2.0
"""The life of a server as data: what may be done when, and what the API calls each state.

A server has a `vm_state` (where it rests), a `task_state` (the order under way, or None) and a
`power_state` (what its host saw). An action of the API is one row of `ACTIONS`: it may start
from some states, sets a task state, and when the task loop has carried it out the server rests
in `rests`. Names and texts are those that clients of the Compute API know.
"""

import msgspec

from octostack.base.errors import Conflict
from octostack.services.compute.model import Server

ACTIVE, BUILDING, PAUSED, SUSPENDED = "active", "building", "paused", "suspended"
STOPPED, RESCUED, ERROR, DELETED = "stopped", "rescued", "error", "deleted"

NOSTATE, RUNNING, POWER_PAUSED, SHUTDOWN, CRASHED, POWER_SUSPENDED = 0, 1, 3, 4, 6, 7
POWER = {
    "running": RUNNING,
    "paused": POWER_PAUSED,
    "shutdown": SHUTDOWN,
    "crashed": CRASHED,
    "suspended": POWER_SUSPENDED,
    "building": NOSTATE,
    "absent": NOSTATE,
}


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One action: from where it may start and what it sets."""

    verb: str  # the word in "Cannot 'verb' instance ..."
    action: str  # as recorded in os-instance-actions
    vm: tuple[str, ...]
    task: tuple[str | None, ...] = (None,)
    sets: str | None = None  # task_state; None: nothing to be carried out
    rests: str | None = None  # vm_state when done; None: as it was
    wants: str | None = None  # power the machine shall have
    launched: bool = False  # only for a server that has run once


_ANY_TASK = ("*",)
_RESTING = (ACTIVE, PAUSED, SUSPENDED, STOPPED)
_HARD_TASKS = (
    None, "reboot_pending", "reboot_started", "rebooting", "rebooting_hard", "resuming",
    "unpausing", "pausing", "suspending",
)  # fmt: skip

ACTIONS: dict[str, Transition] = {
    "os-stop": Transition(
        verb="stop", action="stop", vm=(ACTIVE, ERROR), sets="powering-off",
        rests=STOPPED, wants="shutdown", launched=True,
    ),
    "os-start": Transition(
        verb="start", action="start", vm=(STOPPED,), sets="powering-on",
        rests=ACTIVE, wants="running",
    ),
    "reboot-soft": Transition(
        verb="reboot", action="reboot", vm=(ACTIVE,), sets="rebooting",
        rests=ACTIVE, wants="running",
    ),
    "reboot-hard": Transition(
        verb="reboot", action="reboot", vm=(ACTIVE, STOPPED, PAUSED, SUSPENDED, ERROR),
        task=_HARD_TASKS, sets="rebooting_hard", rests=ACTIVE, wants="running", launched=True,
    ),
    "pause": Transition(
        verb="pause", action="pause", vm=(ACTIVE,), sets="pausing", rests=PAUSED, wants="paused",
    ),
    "unpause": Transition(
        verb="unpause", action="unpause", vm=(PAUSED,), sets="unpausing",
        rests=ACTIVE, wants="running",
    ),
    "suspend": Transition(
        verb="suspend", action="suspend", vm=(ACTIVE,), sets="suspending",
        rests=SUSPENDED, wants="suspended",
    ),
    "resume": Transition(
        verb="resume", action="resume", vm=(SUSPENDED,), sets="resuming",
        rests=ACTIVE, wants="running",
    ),
    "rescue": Transition(
        verb="rescue", action="rescue", vm=(ACTIVE, STOPPED, ERROR), sets="rescuing",
        rests=RESCUED, wants="running", launched=True,
    ),
    "unrescue": Transition(
        verb="unrescue", action="unrescue", vm=(RESCUED,), sets="unrescuing",
        rests=ACTIVE, wants="running",
    ),
    "rebuild": Transition(
        verb="rebuild", action="rebuild", vm=(ACTIVE, STOPPED, ERROR), sets="rebuilding",
        rests=ACTIVE, wants="running",
    ),
    "createImage": Transition(
        verb="createImage", action="createImage", vm=_RESTING, sets="image_snapshot",
    ),
    "createBackup": Transition(
        verb="createBackup", action="createBackup", vm=_RESTING, sets="image_backup",
    ),
    "changePassword": Transition(
        verb="changePassword", action="changePassword", vm=(ACTIVE,), sets="updating_password",
        launched=True,
    ),
    "attach_interface": Transition(
        verb="attach_interface", action="attach_interface", vm=(ACTIVE, PAUSED, STOPPED),
    ),
    "detach_interface": Transition(
        verb="detach_interface", action="detach_interface", vm=(ACTIVE, PAUSED, STOPPED),
    ),
    "update_metadata": Transition(
        verb="update instance metadata", action="update_metadata", vm=_RESTING,
    ),
    "delete_metadata": Transition(
        verb="delete metadata", action="delete_metadata", vm=_RESTING,
    ),
    "tags": Transition(verb="update tags", action="update_tags", vm=_RESTING, task=_ANY_TASK),
    "console": Transition(
        verb="get_console", action="console", vm=(ACTIVE, PAUSED, SUSPENDED, RESCUED, ERROR),
        task=_ANY_TASK, launched=True,
    ),
    "diagnostics": Transition(
        verb="get_diagnostics", action="diagnostics",
        vm=(ACTIVE, RESCUED, PAUSED, SUSPENDED, STOPPED, ERROR), task=_ANY_TASK,
    ),
    "delete": Transition(
        verb="delete", action="delete", task=_ANY_TASK, sets="deleting", rests=DELETED,
        vm=(ACTIVE, BUILDING, PAUSED, SUSPENDED, STOPPED, RESCUED, ERROR),
    ),
}  # fmt: skip

# Where a server rests once the order named by its task state is done.
RESTS = {t.sets: t for t in ACTIONS.values() if t.sets}


def rests_in(server: Server) -> str | None:
    """The vm_state a server comes to when its order is done; None: as it is.

    Who rebuilds a stopped server does not want it started.
    """
    transition = RESTS[server.task_state or ""]
    if transition.action == "rebuild" and server.vm_state == STOPPED:
        return STOPPED
    return transition.rests


# The boot saga owns a server in these states; the task loop owns all other task states.
BOOT_TASKS = ("scheduling", "block_device_mapping", "networking", "spawning")

# (vm_state, task_state) -> status of the API; task "" is the default of its vm_state.
STATUS: dict[tuple[str, str], str] = {
    (ACTIVE, ""): "ACTIVE",
    (ACTIVE, "rebooting"): "REBOOT",
    (ACTIVE, "reboot_pending"): "REBOOT",
    (ACTIVE, "reboot_started"): "REBOOT",
    (ACTIVE, "rebooting_hard"): "HARD_REBOOT",
    (ACTIVE, "updating_password"): "PASSWORD",
    (ACTIVE, "rebuilding"): "REBUILD",
    (BUILDING, ""): "BUILD",
    (STOPPED, ""): "SHUTOFF",
    (STOPPED, "rebuilding"): "REBUILD",
    (STOPPED, "rebooting_hard"): "HARD_REBOOT",
    (PAUSED, ""): "PAUSED",
    (PAUSED, "rebooting_hard"): "HARD_REBOOT",
    (SUSPENDED, ""): "SUSPENDED",
    (SUSPENDED, "rebooting_hard"): "HARD_REBOOT",
    (RESCUED, ""): "RESCUE",
    (ERROR, ""): "ERROR",
    (ERROR, "rebuilding"): "REBUILD",
    (ERROR, "rebooting_hard"): "HARD_REBOOT",
    (DELETED, ""): "DELETED",
}

# Words a status filter may use that no server here can be in: such a list is empty, not wrong.
OTHER_STATUSES = (
    "MIGRATING", "RESIZE", "REVERT_RESIZE", "VERIFY_RESIZE", "SHELVED", "SHELVED_OFFLOADED",
    "SOFT_DELETED", "UNKNOWN",
)  # fmt: skip


def status(server: Server) -> str:
    """The API's status word for a server."""
    task = server.task_state or ""
    return STATUS.get((server.vm_state, task)) or STATUS.get((server.vm_state, ""), "UNKNOWN")


def states_of(word: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The vm states and task states behind a status word; None when nobody knows the word."""
    wanted = word.upper()
    pairs = [pair for pair, name in STATUS.items() if name == wanted]
    if not pairs and wanted not in OTHER_STATUSES:
        return None
    return tuple(sorted({vm for vm, _ in pairs})), tuple(sorted({task for _, task in pairs}))


def refuse_locked(server: Server, *, may_override: bool) -> None:
    """Raise Conflict when the server is locked against this caller."""
    if server.locked_by and not may_override:
        raise Conflict(f"Instance {server.id} is locked", code="InstanceIsLocked")


def check(name: str, server: Server) -> Transition:
    """The transition of an action, when the server's present state allows it. Raises Conflict."""
    t = ACTIONS[name]
    said = f"Cannot '{t.verb}' instance {server.id} while it is in"
    if server.vm_state not in t.vm:
        raise Conflict(f"{said} vm_state {server.vm_state}", code="InstanceInvalidState")
    if t.task != _ANY_TASK and server.task_state not in t.task:
        raise Conflict(f"{said} task_state {server.task_state}", code="InstanceInvalidState")
    if t.launched and server.launched_at is None:
        raise Conflict(f"{said} launched_at None", code="InstanceInvalidState")
    return t


def observed(server: Server, power: str) -> dict[str, object]:
    """Columns that change because a host saw the machine in `power` while no order is under way.

    A guest that powered itself off is stopped; one that runs again though stopped is active.
    """
    changes: dict[str, object] = {}
    number = POWER.get(power, NOSTATE)
    if number != server.power_state:
        changes["power_state"] = number
    if server.task_state is not None:
        return changes
    rest = _RESTS_SEEN.get((server.vm_state, power))
    if rest:
        changes["vm_state"] = rest
    return changes


_RESTS_SEEN = {
    (ACTIVE, "shutdown"): STOPPED,
    (ACTIVE, "crashed"): STOPPED,
    (PAUSED, "shutdown"): STOPPED,
    (STOPPED, "running"): ACTIVE,
    (ACTIVE, "paused"): PAUSED,
    (PAUSED, "running"): ACTIVE,
}
