# SPDX-License-Identifier: Apache-2.0
"""Neighbours that no intent names: asked for, kept, asked again, forgotten, and never too many."""

from octostack.engines.sdn.core import diff, neighbours, pipeline
from octostack.engines.sdn.core.neighbours import Asker, Neighbours, Question
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import messages as of

WHERE = (100, 0xAC180401)
ASKER = Asker(0xFA163E000001, 0xAC18040A)
MAC = 0x020000000099


def fresh() -> Neighbours:
    made = Neighbours()
    made.askers = {100: ASKER}
    return made


def test_packets_wait_for_one_question() -> None:
    table = fresh()
    assert table.miss(WHERE, b"one", 0.0) == [Question(*WHERE, ASKER)]
    assert table.miss(WHERE, b"two", 0.1) == []
    assert table.heard(WHERE, MAC, 0.2) == (True, [b"one", b"two"])
    assert table.known[WHERE].mac == MAC


def test_question_is_repeated_and_given_up() -> None:
    table = fresh()
    table.miss(WHERE, b"one", 0.0)
    assert not table.tick(0.05)[0]
    assert table.tick(0.1)[0]  # soon, as the first may have been lost
    asked = [bool(table.tick(float(t))[0]) for t in range(1, 8)]
    assert asked == [True, True, True, True, False, False, False]
    assert not table.pending


def test_nobody_is_asked_where_there_is_no_router() -> None:
    table = fresh()
    assert table.miss((7, 1), b"one", 0.0) == []
    assert not table.pending


def test_unasked_answers_change_nothing() -> None:
    table = fresh()
    assert table.heard(WHERE, MAC, 0.0) == (False, [])
    table.miss(WHERE, b"one", 0.0)
    table.heard(WHERE, MAC, 0.1)
    assert table.heard(WHERE, MAC + 1, 0.2) == (False, [])  # a gratuitous lie
    assert table.known[WHERE].mac == MAC


def test_switch_that_forgot_is_told_again() -> None:
    table = fresh()
    table.miss(WHERE, b"one", 0.0)
    table.heard(WHERE, MAC, 0.0)
    assert table.adopt([], 1.0) == [neighbours.flow(WHERE, MAC)]
    table.miss(WHERE, b"two", 2.0)  # the flow is gone, whatever we know
    assert table.heard(WHERE, MAC, 2.0) == (True, [b"two"])


def test_way_out_is_sought_before_it_is_needed() -> None:
    table = fresh()
    assert table.seek([WHERE], 0.0) == [Question(*WHERE, ASKER)]
    assert table.seek([WHERE], 0.1) == []
    assert table.heard(WHERE, MAC, 0.2) == (True, [])
    assert table.seek([WHERE], 0.3) == []


def test_neighbour_is_asked_after_and_goes_when_silent() -> None:
    table = fresh()
    table.miss(WHERE, b"one", 0.0)
    table.heard(WHERE, MAC, 0.0)
    assert table.tick(neighbours.REFRESH_S - 1) == ([], [])
    assert table.tick(neighbours.REFRESH_S)[0] == [Question(*WHERE, ASKER)]
    assert table.heard(WHERE, MAC + 1, 61.0) == (True, [])  # it moved
    times = [neighbours.REFRESH_S + 61.0 + t for t in range(5)]
    gone = [table.tick(t)[1] for t in times]
    assert gone == [[], [], [], [WHERE], []]


def test_bounds_hold() -> None:
    table = fresh()
    for n in range(neighbours.PENDING_MAX + 50):
        table.miss((100, n), b"x", 0.0)
    assert len(table.pending) == neighbours.PENDING_MAX
    for _ in range(50):
        table.miss((100, 0), b"x", 0.0)
    assert len(table.pending[(100, 0)].packets) == neighbours.PACKETS_MAX


def test_learned_flows_survive_a_restart_and_the_diff() -> None:
    mod = neighbours.flow(WHERE, MAC)
    stats = of.FlowStats(
        table=mod.table,
        priority=mod.priority,
        match=mod.match,
        instructions=acts.encode_instructions(mod.instructions),
        cookie=mod.cookie,
    )
    assert diff.changes({}, [stats]) == []
    table = fresh()
    table.adopt([stats], 5.0)
    assert table.known[WHERE].mac == MAC
    assert mod.table == pipeline.NUMBERS["learned"]
    forgotten = neighbours.forget(WHERE)
    assert (forgotten.table, forgotten.priority, forgotten.match) == (
        mod.table,
        mod.priority,
        mod.match,
    )
