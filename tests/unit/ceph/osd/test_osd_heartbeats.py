# SPDX-License-Identifier: Apache-2.0
"""Who is asked, and whom silence makes suspect."""

from octostack.engines.ceph.osd.core.heartbeats import Heartbeats, choose_peers


def test_silence_counts_from_the_oldest_question_without_an_answer() -> None:
    beats = Heartbeats()
    beats.follow({1, 2})
    for now in (0.0, 6.0, 12.0):
        beats.ask(1, now)
        beats.ask(2, now)
        for side in (0, 1):
            beats.hear(1, side, now)
    beats.hear(2, 0, 12.0)
    assert beats.list_silent(20.0, 20.0) == {}
    assert beats.list_silent(21.0, 20.0) == {2: 21.0}, "one of two links is enough"
    beats.hear(2, 1, 6.0)
    assert beats.list_silent(33.0, 20.0) == {2: 21.0}
    beats.hear(2, 1, 12.0)
    assert beats.list_silent(99.0, 20.0) == {}, "who does not ask suspects nobody"


def test_another_process_begins_anew() -> None:
    beats = Heartbeats()
    beats.follow({1})
    beats.ask(1, 0.0)
    beats.forget(1)
    beats.follow({1})
    assert beats.list_silent(50.0, 20.0) == {}
    beats.hear(3, 0, 1.0)  # an answer of one that is asked no more
    beats.follow(set())
    assert beats.peers == []


def test_partners_are_asked_and_enough_others() -> None:
    assert choose_peers(1, range(3), {2, 7}) == {0, 2}
    assert choose_peers(5, range(40), {30}) == {30, *range(6, 15)}
    assert choose_peers(39, range(40), set(range(20))) == set(range(20))
