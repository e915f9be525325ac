# SPDX-License-Identifier: Apache-2.0
"""Places for groups that are brought back: never more than there are, and nobody waits for ever.

The simulation: OSDs with many groups between them, whose primaries claim places at all others,
work for a while, and give back; messages keep the order of their link and take their time;
intervals end, OSDs become too full and are emptied.
"""

import os
import random
from collections import deque
from typing import Any

import pytest

from octostack.engines.ceph.osd.core.allowance import Allowance, Rules
from octostack.engines.ceph.osd.core.reserving import Claim, Kind, Places
from octostack.engines.ceph.osd.core.values import Message, Reserve

SEEDS = int(os.environ.get("SIM_SEEDS", "40"))


def test_the_highest_rank_goes_first_then_who_came_first() -> None:
    places = Places(1)
    had: list[str] = []
    for who, rank in (("a", 100), ("b", 100), ("c", 180), ("d", 180)):
        places.ask(who, rank, lambda who=who: had.append(who))  # type: ignore[misc]
    assert had == ["a"]
    places.give("d")
    places.give("a")
    assert had == ["a", "c"]
    places.resize(3)
    assert had == ["a", "c", "b"], "those who asked no more get nothing"
    places.resize(1)
    places.ask("e", 220, lambda: had.append("e"))
    places.give("c")
    assert "e" not in had, "two had places: one has to go before there is one to have"
    places.give("b")
    assert had[-1] == "e"


class Member:
    """A copy of a group, as far as places go: it is its own `peering`, `outside` and `home`."""

    def __init__(self, world: "World", osd: int, group: int) -> None:
        self.world = world
        self.osd = osd
        self.group = group
        self.allowance = world.allowances[osd]
        self.own_places, self.others_places = world.own[osd], world.others[osd]
        self.claim = Claim(self, self)  # type: ignore[arg-type]

    @property
    def view(self) -> Any:
        return self.world  # it has the epoch

    @property
    def outside(self) -> Any:
        return self

    def send(self, osd: int, message: Message) -> None:
        self.world.post(self, osd, message)


class World:
    """All of it."""

    def __init__(self, seed: int, osds: int = 5, groups: int = 12, most: int = 1) -> None:
        self.rng = random.Random(seed)
        self.epoch = 1
        self.most = most
        self.own = [Places(most) for _ in range(osds)]
        self.others = [Places(most) for _ in range(osds)]
        self.allowances = [Allowance() for _ in range(osds)]
        self.links: dict[tuple[int, int], deque[tuple[Member, Message, int]]] = {}
        self.members: dict[tuple[int, int], Member] = {}
        self.groups: list[list[int]] = []
        self.lives = [0] * groups
        self.done: set[int] = set()
        for group in range(groups):
            self.groups.append(self.rng.sample(range(osds), 3))
            for osd in range(osds):
                self.members[group, osd] = Member(self, osd, group)

    def post(self, source: Member, osd: int, message: Message) -> None:
        life = self.lives[source.group]
        self.links.setdefault((source.osd, osd), deque()).append((source, message, life))

    def begin(self, group: int) -> None:
        first, *rest = self.groups[group]
        kind = self.rng.choice(list(Kind))
        rank = self.rng.choice((100, 140, 180))
        self.members[group, first].claim.take(kind, rest, rank, lambda: None)

    def check(self) -> None:
        for places in (*self.own, *self.others):
            assert places.held <= self.most
        for osd, places in enumerate(self.others):
            working = sum(
                osd in members[1:] and self.members[group, members[0]].claim.is_held
                for group, members in enumerate(self.groups)
            )
            assert working <= self.most, "who works has its place at every copy"
            assert places.held >= min(working, self.most)

    def deliver(self) -> bool:
        ready = [link for link, waiting in self.links.items() if waiting]
        if not ready:
            return False
        link = self.rng.choice(ready)
        source, message, life = self.links[link].popleft()
        if life == self.lives[source.group]:  # else of an interval that is over
            assert self.members[source.group, link[1]].claim.receive(link[0], message)
        return True

    def end_interval(self, group: int) -> None:
        self.lives[group] += 1
        for osd in range(len(self.own)):
            self.members[group, osd].claim.stop()
        self.groups[group] = self.rng.sample(range(len(self.own)), 3)

    def work(self) -> None:
        """A group that has all its places is ready, sometimes."""
        for group, members in enumerate(self.groups):
            claim = self.members[group, members[0]].claim
            if claim.is_held and self.rng.random() < 0.3:
                claim.drop()
                self.done.add(group)
            elif claim.kind is None and group not in self.done:
                self.begin(group)


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_than_there_are_places_and_all_come_to_an_end(most: int) -> None:
    for seed in range(SEEDS):
        world = World(seed, most=most)
        for step in range(3_000):
            trouble = world.rng.random() if step < 2_000 else 1.0
            if trouble < 0.01:
                world.end_interval(world.rng.randrange(len(world.groups)))
            elif trouble < 0.02:
                full = Rules(is_full=world.rng.random() < 0.5)
                world.rng.choice(world.allowances).follow(full)
            elif trouble < 0.3 or step % 5 == 0:
                world.work()
            else:
                world.deliver()
            if step == 2_000:
                world.done.clear()
                for allowance in world.allowances:
                    allowance.follow(Rules())
            world.check()
        assert world.done == set(range(len(world.groups))), seed


def test_a_full_copy_refuses_to_be_filled_and_takes_what_the_log_says() -> None:
    world = World(1, groups=1)
    world.groups[0] = [0, 1, 2]
    primary = world.members[0, 0].claim
    world.allowances[1].follow(Rules(is_full=True))
    primary.take(Kind.FILL, [2, 1], 100, lambda: None)
    while world.deliver():
        pass
    assert primary.kind is None
    assert primary.too_full
    assert world.own[0].held == world.others[1].held == world.others[2].held == 0
    had: list[bool] = []
    primary.take(Kind.RECOVER, [2, 1], 180, lambda: had.append(True))
    while world.deliver():
        pass
    assert had == [True]
    world.members[0, 1].claim.refuse(0)
    while world.deliver():
        pass
    assert not primary.is_held


def test_an_answer_to_what_was_given_back_counts_for_nothing() -> None:
    world = World(1, groups=2)
    world.groups = [[0, 1, 2], [3, 1, 2]]
    primary = world.members[0, 0].claim
    primary.take(Kind.FILL, [1, 2], 100, lambda: None)
    while world.links[0, 1]:
        source, message, _ = world.links[0, 1].popleft()
        assert isinstance(message, Reserve)
        world.members[0, 1].claim.receive(0, message)
    primary.take(Kind.FILL, [1, 2], 100, lambda: None)
    other = world.members[1, 3].claim
    other.take(Kind.FILL, [1], 180, lambda: None)
    world.members[1, 1].claim.receive(3, world.links[3, 1].popleft()[1])
    for _ in range(2):  # given back, and asked for anew: the other one has it by now
        world.members[0, 1].claim.receive(0, world.links[0, 1].popleft()[1])
    primary.receive(1, world.links[1, 0].popleft()[1])
    assert not world.links.get((0, 2)), "it has no place at 1, and so asks nobody else"
    assert source is world.members[0, 0]
