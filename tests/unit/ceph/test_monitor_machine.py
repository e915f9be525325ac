# SPDX-License-Identifier: Apache-2.0
"""Single steps of a monitor that agrees with others; the whole is simulated in `tests/sim`."""

from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.machine import Machine
from octostack.engines.ceph.mon.core.paxos.values import Message, Pending, Role, Stored, Times


def sent(machine: Machine, kind: type) -> list[v.Send]:
    """The messages of one kind among the effects, which are taken away."""
    found = [e for e in machine.out if isinstance(e, v.Send) and isinstance(e.message, kind)]
    machine.out.clear()
    return found


def machine(rank: int, size: int, stored: Stored | None = None) -> Machine:
    made = Machine(rank, size, stored or Stored(), Times(), 0.0)
    made.start(0.0)
    return made


def elected(stored: Stored, answer: Message) -> Machine:
    """A leader of three that rank 1 follows, and answers."""
    leader = machine(0, 3, stored)
    leader.receive(0.1, 1, v.Defer(leader.epoch))
    leader.tick(2.0)
    assert leader.role is Role.LEADER
    leader.out.clear()
    leader.receive(2.1, 1, answer)
    return leader


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
    assert leader.last == 1
    assert leader.pending is None
    leader.tick(2.2)
    assert not sent(leader, v.Begin)
    assert leader.is_writable(2.2)


def test_of_two_winners_of_an_epoch_one_is_followed() -> None:
    peon = machine(2, 3)
    epoch = peon.epoch
    peon.receive(0.1, 1, v.Propose(epoch))
    peon.receive(0.2, 0, v.Propose(epoch))
    assert [send.to for send in sent(peon, v.Defer)] == [1, 0]
    peon.receive(0.3, 1, v.Victory(epoch + 1, (1, 2)))
    assert peon.role is Role.ELECTING
    assert peon.epoch == epoch + 2
    peon.receive(0.4, 1, v.Collect(epoch + 1, 1, 0))
    assert not sent(peon, v.Last)


def test_alone_every_value_is_committed_at_once() -> None:
    alone = machine(0, 1)
    assert alone.is_readable(0.0)
    assert alone.is_writable(0.0)
    alone.out.clear()
    alone.propose(0.0, b"value")
    assert alone.out == [v.Learn(1, b"value", (), at_once=True, is_kept=False)]


def test_whoever_is_behind_what_is_kept_gets_everything() -> None:
    leader = elected(
        Stored(4, first=8, last=9, log={8: b"8", 9: b"9"}), v.Last(6, 1, 3, {}, None, 0.0)
    )
    assert v.Offer(1, 6, 9) in leader.out
    behind = machine(1, 3, Stored(4, last=3))
    behind.receive(0.1, 0, v.Propose(behind.epoch))
    behind.receive(0.2, 0, v.Victory(behind.epoch + 1, (0, 1)))
    epoch = behind.epoch
    behind.out.clear()
    behind.receive(0.3, 0, v.SyncPart(epoch, 9, 1, 2, {"b": b"2"}))
    assert behind.last == 3
    behind.receive(0.4, 0, v.SyncPart(epoch, 9, 0, 2, {"a": b"1"}))
    assert v.Install(9, {"a": b"1", "b": b"2"}) in behind.out
    assert (behind.first, behind.last) == (10, 9)


def test_a_follower_with_another_time_is_noticed() -> None:
    leader = elected(Stored(4), v.Last(6, 1, 0, {}, None, 0.0))
    for clock, skew in ((2.15, 0.0), (2.4, 0.2), (1.8, -0.3)):
        leader.receive(2.2, 1, v.LeaseAck(6, 0, 2.1, clock))
        assert round(leader.skews[1], 6) == skew
