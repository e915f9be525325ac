# SPDX-License-Identifier: Apache-2.0
"""What recovery may have under way, and who is called when there is room again."""

from collections.abc import Callable

from octostack.engines.ceph.osd.core.allowance import TURN_BYTES, Allowance, Rules


def test_objects_and_bytes_are_bounded_and_the_line_moves() -> None:
    allowance = Allowance()
    allowance.follow(Rules(objects_max=3, bytes_max=100))
    assert allowance.take("a", 150), "one alone, however large"
    assert not allowance.take("b", 1)
    assert allowance.take("b", 1, urgent=True), "a client waits for it"
    assert allowance.take("a", 150), "it is under way already"
    called: list[str] = []

    def again(who: str) -> None:
        called.append(who)
        if not allowance.take(who, 40):
            allowance.wait(who, lambda: again(who))

    for who in ("c", "d", "e"):
        allowance.wait(who, lambda who=who: again(who))  # type: ignore[misc]
    allowance.leave("d")
    allowance.give("b")
    assert called == [], "the large one is still there"
    allowance.give("a")
    assert called == ["c", "e"]
    assert allowance.bytes == 80
    assert not allowance.take("f", 40)
    allowance.give("c")
    allowance.give("c")
    assert allowance.bytes == 40


def test_norecover_stops_all_but_what_clients_wait_for_until_it_is_gone() -> None:
    allowance = Allowance()
    allowance.follow(Rules(may_recover=False))
    assert not allowance.take("a", 1)
    assert allowance.take("b", 1, urgent=True)
    called: list[str] = []
    allowance.wait("a", lambda: called.append("a"))
    allowance.give("b")
    assert called == []
    allowance.follow(Rules())
    assert called == ["a"]


def test_others_have_their_turn_after_a_little_of_recovery() -> None:
    allowance = Allowance()
    turns: list[Callable[[], None]] = []
    allowance.rest = turns.append
    assert allowance.take("a", TURN_BYTES)
    assert not allowance.take("b", 1)
    assert allowance.take("c", 1, urgent=True)
    called: list[str] = []
    allowance.wait("b", lambda: called.append("b"))
    allowance.give("a")
    assert called == []
    turns.pop()()
    assert called == ["b"]
    assert turns == []
    assert allowance.take("b", 1)
    assert turns == [], "small ones share a turn"
    allowance.turn_bytes = 0  # osd_recovery_sleep: a turn for each
    assert allowance.take("d", 1)
    assert len(turns) == 1
