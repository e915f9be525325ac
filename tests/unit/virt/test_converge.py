# SPDX-License-Identifier: Apache-2.0
"""What is done about a machine, for every state it may be found in."""

import itertools

import msgspec
import pytest

from octostack.base.errors import OverQuota
from octostack.contracts.compute_agent import DirectBoot, ImageRef, MachineSpec, Nic
from octostack.engines.virt.core import model, slots
from octostack.engines.virt.core.converge import converge, reboot
from octostack.engines.virt.core.model import NicSeen, Seen
from octostack.engines.virt.simulated import after

IMAGE = ImageRef(id="i", sha512="0" * 128, size_bytes=1)
RESCUE = ImageRef(id="r", sha512="1" * 128, size_bytes=1)
NICS = tuple(Nic(port_id=f"p{i}", mac=f"fa:16:3e:00:00:0{i}") for i in range(3))
SPEC = MachineSpec(
    id="m", name="m", generation=3, vcpus=1, memory_mb=64, image=IMAGE, build=1, nics=NICS[:1]
)


def card(i: int, slot: int) -> NicSeen:
    return NicSeen(port_id=f"p{i}", mac=f"fa:16:3e:00:00:0{i}", tap=f"tap{i}", slot=slot)


UP = Seen(process="running", build=1, nics=(card(0, 0),))
OFF = Seen(down="ordered", build=1)


def spec(**changes: object) -> MachineSpec:
    return msgspec.structs.replace(SPEC, **changes)


def seen(base: Seen, **changes: object) -> Seen:
    return msgspec.structs.replace(base, **changes)


def names(acts: list[model.Act]) -> str:
    return " ".join(type(act).__name__ for act in acts)


CASES = [
    # wanted running
    ({}, Seen(), "Fetch MakeDisks Start"),
    ({}, OFF, "MakeDisks Start"),
    ({}, UP, ""),
    ({}, seen(UP, process="paused"), "Resume"),
    ({}, seen(OFF, down="host"), "MakeDisks Start"),
    ({}, seen(OFF, down="crashed"), "MakeDisks Start"),
    ({}, seen(UP, process="ended"), "Quit MakeDisks Start"),
    ({}, seen(UP, process="panicked"), ""),
    ({}, seen(OFF, saved=True), "MakeDisks Start"),
    # wanted paused
    ({"wanted": "paused"}, UP, "Pause"),
    ({"wanted": "paused"}, seen(UP, process="paused"), ""),
    ({"wanted": "paused"}, OFF, "MakeDisks Start"),
    # wanted stopped
    ({"wanted": "stopped"}, UP, "PowerOff"),
    ({"wanted": "stopped"}, seen(UP, process="paused"), "Resume PowerOff"),
    ({"wanted": "stopped"}, seen(UP, process="panicked"), "Quit"),
    ({"wanted": "stopped"}, seen(UP, process="ended"), "Quit"),
    ({"wanted": "stopped"}, seen(OFF, saved=True), "DropSaved"),
    ({"wanted": "stopped"}, OFF, ""),
    ({"wanted": "stopped"}, Seen(), ""),
    # wanted suspended
    ({"wanted": "suspended"}, UP, "Save"),
    ({"wanted": "suspended"}, seen(OFF, saved=True), ""),
    ({"wanted": "suspended"}, seen(UP, process="ended"), "Quit"),
    # another build, another disk to boot from
    ({"build": 2}, UP, "Quit DropDisks Fetch MakeDisks Start"),
    ({"build": 2}, seen(OFF, saved=True), "DropSaved DropDisks Fetch MakeDisks Start"),
    ({"rescue": RESCUE}, UP, "PowerOff Fetch MakeDisks MakeRescueDisk Start"),
    ({"rescue": RESCUE}, seen(UP, rescued=True), ""),
    ({}, seen(UP, rescued=True), "PowerOff MakeDisks Start"),
    ({"boot": DirectBoot(kernel=IMAGE, ramdisk=RESCUE)}, OFF, "Fetch Fetch MakeDisks Start"),
    # cards
    ({"nics": NICS[:2]}, UP, "PlugNic"),
    ({"nics": ()}, UP, "UnplugNic"),
    ({"nics": NICS[1:]}, UP, "UnplugNic PlugNic PlugNic"),
    ({"nics": NICS, "wanted": "paused"}, UP, "PlugNic PlugNic Pause"),
]


@pytest.mark.parametrize(("changes", "state", "expected"), CASES)
def test_acts(changes: dict[str, object], state: Seen, expected: str) -> None:
    assert names(converge(spec(**changes), state)) == expected


@pytest.mark.parametrize("down", ["guest", "crashed"])
def test_what_went_down_by_itself_stays_down_until_the_next_order(down: model.Down) -> None:
    state = seen(OFF, down=down)
    assert converge(SPEC, state, held=True) == []
    assert names(converge(SPEC, state, held=False)) == "MakeDisks Start"
    ended = seen(UP, process="ended")
    assert names(converge(SPEC, ended, held=True)) == "Quit"


def test_what_went_down_with_its_host_is_started_again() -> None:
    assert names(converge(SPEC, seen(OFF, down="host"), held=True)) == "MakeDisks Start"


def test_a_machine_that_may_restart_after_a_crash() -> None:
    state = seen(OFF, down="crashed")
    again = spec(restart_on_crash=True)
    assert names(converge(again, state, held=True)) == "MakeDisks Start"
    assert converge(again, seen(OFF, down="guest"), held=True) == []


def test_new_cards_take_free_slots() -> None:
    state = seen(UP, nics=(card(0, 1),))
    acts = converge(spec(nics=NICS), state)
    assert [(a.nic.port_id, a.slot) for a in acts if isinstance(a, model.PlugNic)] == [
        ("p1", 0),
        ("p2", 2),
    ]


def test_no_slot_is_left() -> None:
    with pytest.raises(OverQuota):
        list(itertools.islice(slots.free(range(slots.SLOTS)), 1))


@pytest.mark.parametrize(
    ("state", "hard", "expected"),
    [
        (UP, False, "PowerOff MakeDisks Start"),
        (UP, True, "Quit MakeDisks Start"),
        (seen(OFF, down="crashed"), True, "MakeDisks Start"),
        (seen(OFF, saved=True), True, "DropSaved MakeDisks Start"),
        (seen(UP, process="panicked"), True, "Quit MakeDisks Start"),
    ],
)
def test_reboot(state: Seen, hard: bool, expected: str) -> None:
    assert names(reboot(SPEC, state, hard=hard)) == expected


def test_every_state_comes_to_rest_in_every_wish() -> None:
    """From anything seen to anything wanted, a round or two of acts leave nothing to do."""
    states = [
        Seen(process=process, down=down, build=build, rescued=rescued, saved=saved, nics=nics)
        for process in ("none", "running", "paused", "ended", "panicked")
        for down in ("new", "ordered", "guest", "crashed", "host")
        for build in (None, 1, 2)
        for rescued in (False, True)
        for saved in (False, True)
        for nics in ((), (card(0, 0), card(1, 5)))
        if process == "none" or build is not None
    ]
    wishes = [
        spec(wanted=wanted, rescue=rescue, build=build)
        for wanted in ("running", "stopped", "paused", "suspended")
        for rescue in (None, RESCUE)
        for build in (1, 2)
    ]
    for state, wish in itertools.product(states, wishes):
        now = state
        for _ in range(4):
            acts = converge(wish, now)
            for act in acts:
                now = after(wish, now, act, at=0.0)
            if not acts:
                break
        assert converge(wish, now) == [], (state, wish.wanted)
