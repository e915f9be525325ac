# SPDX-License-Identifier: Apache-2.0
"""Single steps of a monitor that agrees with others; the whole is simulated in `tests/sim`."""

from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.machine import Machine
from octostack.engines.ceph.mon.core.paxos.values import (
    Members,
    Message,
    Pending,
    Role,
    Stored,
    Strategy,
    Times,
)


def sent(machine: Machine, kind: type) -> list[v.Send]:
    """The messages of one kind among the effects, which are taken away."""
    found = [e for e in machine.out if isinstance(e, v.Send) and isinstance(e.message, kind)]
    machine.out.clear()
    return found


def reached(machine: Machine, *ranks: int, now: float = 0.0) -> None:
    """Words go to those and come from them."""
    for rank in ranks:
        machine.receive(now, rank, v.Ping((machine.rank,)))


def machine(
    rank: int, size: int, stored: Stored | None = None, *, reaches: tuple[int, ...] = ()
) -> Machine:
    made = Machine(Members(rank, size), stored or Stored(), Times(), 0.0)
    made.start(0.0)
    reached(made, *reaches)
    return made


def propose(machine: Machine, source: int, now: float, links: int = 3) -> None:
    """That one, which hears us, would lead in the election that runs."""
    machine.receive(now, source, v.Propose(machine.epoch, (machine.rank,), links))


def elected(stored: Stored, answer: Message) -> Machine:
    """A leader of three that rank 1 follows, and answers."""
    leader = machine(0, 3, stored, reaches=(1,))
    leader.receive(0.1, 1, v.Defer(leader.epoch))
    leader.tick(2.0)
    assert leader.role is Role.LEADER
    leader.out.clear()
    leader.receive(2.1, 1, answer)
    return leader


def following(rank: int, leader: int) -> Machine:
    """One of three that follows that leader since 0.2."""
    peon = machine(rank, 3, reaches=tuple({0, 1, 2} - {rank}))
    propose(peon, leader, 0.1)
    peon.receive(0.2, leader, v.Victory(peon.epoch + 1, (leader, rank)))
    assert peon.leader == leader
    peon.out.clear()
    return peon


def test_what_was_accepted_last_is_gone_on_with() -> None:
    older, newer = Pending(1, 2, b"older"), Pending(1, 4, b"newer")
    for mine, theirs in ((older, newer), (newer, older)):
        leader = elected(Stored(4, pending=mine), v.Last(6, 1, 0, {}, theirs, 0.0))
        leader.tick(9.0)
        assert [send.message for send in sent(leader, v.Begin)] == [v.Begin(6, 1, b"newer")]
        assert not leader.is_writable(9.0)


def test_a_value_that_others_know_as_committed_is_not_begun_again() -> None:
    leader = elected(
        Stored(4, pending=Pending(1, 2, b"mine")), v.Last(6, 1, 1, {1: b"theirs"}, None, 0.0)
    )
    assert leader.history.last == 1
    assert leader.history.pending is None
    leader.tick(2.2)
    assert not sent(leader, v.Begin)
    assert leader.is_writable(2.2)


def test_of_two_winners_of_an_epoch_one_is_followed() -> None:
    peon = machine(2, 3, reaches=(0, 1))
    epoch = peon.epoch
    peon.out.clear()
    propose(peon, 1, 0.1)
    propose(peon, 0, 0.2)
    assert [send.to for send in sent(peon, v.Defer)] == [1, 0]
    peon.receive(0.3, 1, v.Victory(epoch + 1, (1, 2)))
    assert peon.role is Role.ELECTING
    peon.receive(0.4, 1, v.Collect(epoch + 1, 1, 0))
    assert not sent(peon, v.Last)
    peon.receive(0.5, 0, v.Victory(epoch + 1, (0, 2)))
    assert (peon.role, peon.leader) == (Role.PEON, 0)


def test_who_reaches_no_majority_does_not_stand() -> None:
    alone = machine(0, 3)
    assert {send.message.links for send in sent(alone, v.Propose)} == {0}
    alone.receive(0.1, 1, v.Ping((2,)))
    assert not sent(alone, v.Propose), "rank 1 does not hear us"
    alone.receive(0.2, 1, v.Ping((0, 2)))
    assert {send.message for send in sent(alone, v.Propose)} == {v.Propose(1, (1,), 2)}


def test_one_that_does_not_hear_us_asks_in_vain() -> None:
    leader = elected(Stored(4), v.Last(6, 1, 0, {}, None, 0.0))
    leader.receive(2.2, 2, v.Propose(9, (1,), 2))
    assert (leader.role, leader.epoch) == (Role.LEADER, 6)
    leader.receive(2.3, 2, v.Propose(9, (0, 1), 3))
    assert (leader.role, leader.epoch) == (Role.ELECTING, 11)


def test_a_follower_is_loyal_while_it_hears_its_leader() -> None:
    for now, loyal in ((0.2 + Times().answer_s / 2, True), (3.0, False)):
        peon = following(2, 1)
        peon.receive(now, 0, v.Propose(peon.epoch + 1, (2,), 3))
        assert (peon.role is Role.PEON) == loyal
    peon = following(2, 1)
    peon.receive(0.3, 1, v.Propose(peon.epoch + 1, (2,), 0))
    assert peon.role is Role.ELECTING, "its leader has given up"


def test_who_is_not_to_lead_calls_for_another() -> None:
    members = Members(0, 3, Strategy.DISALLOW, frozenset({0}))
    never = Machine(members, Stored(), Times(), 0.0)
    never.start(0.0)
    reached(never, 1, 2)
    never.start(0.1)
    assert {send.message.links for send in sent(never, v.Propose)} == {0}
    propose(never, 2, 0.2)
    propose(never, 1, 0.3)
    assert [send.to for send in sent(never, v.Defer)] == [2, 1]


def test_who_reaches_most_leads_where_that_is_asked_for() -> None:
    for strategy, deferred in ((Strategy.CLASSIC, []), (Strategy.CONNECTIVITY, [4])):
        one = Machine(Members(0, 5, strategy), Stored(), Times(), 0.0)
        one.start(0.0)
        reached(one, 1, 4)
        one.out.clear()
        propose(one, 4, 0.1, links=4)
        assert [send.to for send in sent(one, v.Defer)] == deferred
        propose(one, 1, 0.2, links=3)
        assert not sent(one, v.Defer)


def test_alone_every_value_is_committed_at_once() -> None:
    alone = machine(0, 1)
    assert alone.is_readable(0.0)
    assert alone.is_writable(0.0)
    assert sum(isinstance(effect, v.Save) for effect in alone.out) == 1
    alone.out.clear()
    alone.propose(0.0, b"value")
    assert alone.out == [v.Learn(1, b"value", (), at_once=True, is_kept=False)]


def test_whoever_is_behind_what_is_kept_gets_everything() -> None:
    leader = elected(
        Stored(4, first=8, last=9, log={8: b"8", 9: b"9"}), v.Last(6, 1, 3, {}, None, 0.0)
    )
    assert v.Offer(1, 6, 9) in leader.out
    behind = machine(1, 3, Stored(4, last=3))
    propose(behind, 0, 0.1)
    behind.receive(0.2, 0, v.Victory(behind.epoch + 1, (0, 1)))
    epoch = behind.epoch
    behind.out.clear()
    behind.receive(0.3, 0, v.SyncPart(epoch, 9, 1, 2, {"b": b"2"}))
    assert behind.history.last == 3
    behind.receive(0.4, 0, v.SyncPart(epoch, 9, 0, 2, {"a": b"1"}))
    assert v.Install(9, {"a": b"1", "b": b"2"}) in behind.out
    assert (behind.history.first, behind.history.last) == (10, 9)


def test_a_follower_with_another_time_is_noticed() -> None:
    leader = elected(Stored(4), v.Last(6, 1, 0, {}, None, 0.0))
    for clock, skew in ((2.15, 0.0), (2.4, 0.2), (1.8, -0.3)):
        leader.receive(2.2, 1, v.LeaseAck(6, 0, 2.1, clock))
        assert round(leader.leases.skews[1], 6) == skew
        assert round(leader.leases.latencies[1], 6) == 0.1
