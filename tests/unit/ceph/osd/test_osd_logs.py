# SPDX-License-Identifier: Apache-2.0
"""Logs that parted, by cases: written as ``object version prior``, ``-`` for a deletion."""

import msgspec
import pytest

from octostack.engines.ceph.osd.core import choosing, merging
from octostack.engines.ceph.osd.core.log import Entry, Kind, Log
from octostack.engines.ceph.osd.core.members import member_of
from octostack.engines.ceph.osd.core.values import Info, Interval, Lacks, Need, View
from octostack.wire.ceph.objects import HOBJECT_MIN, EVersion, HObject


def at(text: str) -> EVersion:
    epoch, _, number = text.partition("'")
    return EVersion(int(epoch), int(number))


def thing(name: str) -> HObject:
    return HObject(name.encode(), hash=ord(name[0]), pool=1)


def entries(*lines: str) -> list[Entry]:
    found = []
    for line in lines:
        name, version, prior, *kind = line.split()
        what = {"-": Kind.DELETE, "clone": Kind.CLONE}[kind[0]] if kind else Kind.MODIFY
        found.append(Entry(what, thing(name), at(version), at(prior)))
    return found


def needs(**wanted: str) -> Lacks:
    found = {}
    for name, text in wanted.items():
        need, have = text.split()
        found[thing(name)] = Need(at(need), at(have))
    return found


SHARED = ("a 1'1 0'0", "b 1'2 0'0", "c 1'3 0'0")

MERGES = [
    # what we have behind SHARED, what the other has, what we lack then, what goes
    ("behind", [], ["a 2'4 1'1", "d 2'5 0'0"], needs(a="2'4 1'1", d="2'5 0'0"), ""),
    ("equal", ["a 2'4 1'1"], ["a 2'4 1'1"], {}, ""),
    ("deleted since", [], ["a 2'4 1'1 -"], {}, "a"),
    ("deleted and made again", [], ["a 2'4 1'1 -", "a 2'5 0'0"], needs(a="2'5 0'0"), ""),
    ("ours was new", ["d 2'4 0'0"], ["a 3'4 1'1"], needs(a="3'4 1'1"), "d"),
    ("ours was a change", ["b 2'4 1'2"], ["a 3'4 1'1"], needs(a="3'4 1'1", b="1'2 0'0"), "b"),
    ("ours was changed by both", ["a 2'4 1'1"], ["a 3'4 1'1"], needs(a="3'4 0'0"), "a"),
    ("ours was a deletion", ["a 2'4 1'1 -"], ["b 3'4 1'2"], needs(a="1'1 0'0", b="3'4 1'2"), "a"),
    ("ours twice", ["a 2'4 1'1", "a 2'5 2'4"], ["c 3'4 1'3"], needs(a="1'1 0'0", c="3'4 1'3"), "a"),
    ("ours was a clone", ["d 2'4 1'1 clone"], ["b 3'5 1'2"], needs(b="3'5 1'2"), "d"),
    ("further than the other", ["a 2'4 1'1", "b 2'5 1'2"], ["a 2'4 1'1"], needs(b="1'2 0'0"), "b"),
]


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "lacks", "gone"), MERGES, ids=[m[0] for m in MERGES]
)
def test_merging(name: str, ours: list[str], theirs: list[str], lacks: Lacks, gone: str) -> None:
    mine, other = Log(entries(*SHARED, *ours)), Log(entries(*SHARED, *theirs))
    tail, part = merging.cut(other, mine.head)
    found: Lacks = {}
    merged = merging.merge(mine, found, tail, part, lambda _: True)
    assert (mine.head, mine.entries) == (other.head, other.entries)
    assert found == lacks
    assert merged.remove == [thing(one) for one in gone.split()]


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "lacks", "gone"), MERGES, ids=[m[0] for m in MERGES]
)
def test_the_primary_knows_what_the_copy_will_lack(
    name: str, ours: list[str], theirs: list[str], lacks: Lacks, gone: str
) -> None:
    copy, primary = Log(entries(*SHARED, *ours)), Log(entries(*SHARED, *theirs))
    tail = merging.cut(primary, copy.head)[0]
    tail, told = merging.cut(copy, tail)
    mine = primary.after(tail)
    common = merging.split(told, tail, mine)
    found: Lacks = {}
    later = [entry for entry in mine if entry.version > common]
    merging.undo(found, [entry for entry in told if entry.version > common][::-1], later)
    merging.lack(found, later)
    assert found == lacks


def test_an_object_that_was_lacking_when_the_logs_part() -> None:
    log = Log(entries(*SHARED, "a 2'4 1'1"))
    lacks = needs(a="2'4 1'1")  # the change was in the log, its bytes never came
    merging.merge(log, lacks, at("1'3"), entries("b 3'4 1'2"), lambda _: True)
    assert lacks == needs(b="3'4 1'2")
    log = Log(entries(*SHARED, "a 2'4 1'1", "a 2'5 2'4"))
    lacks = needs(a="2'5 1'1")
    merging.merge(log, lacks, at("1'3"), entries("a 2'4 1'1"), lambda _: True)
    assert lacks == needs(a="2'4 1'1")


def test_what_lies_behind_a_backfill_is_not_lacking() -> None:
    log, lacks = Log(entries(*SHARED)), needs()
    merging.merge(log, lacks, at("1'3"), entries("a 2'4 1'1"), lambda _: False)
    assert (lacks, log.head) == ({}, at("2'4"))


def view(up: tuple[int, ...], alive: str = "01234", acting: tuple[int, ...] | None = None) -> View:
    them = acting or up
    births = dict.fromkeys(range(5), 1)
    return View(
        9, up, them, them[0], 3, 2, frozenset(map(int, alive)), births, dict.fromkeys(range(5), 8)
    )


def info(update: str, started: int = 5, tail: str = "0'0", filled: bool = True) -> Info:
    made = Info(last_update=at(update), log_tail=at(tail), started=started)
    return made if filled else Info(at(update), at(tail), HOBJECT_MIN, True, started)


CHOICES = [
    # infos, up; whose log, who acts, who is filled
    ("all equal", {0: info("5'9"), 1: info("5'9"), 2: info("5'9")}, (0, 1, 2), (0, (0, 1, 2), ())),
    (
        "one is further",
        {0: info("5'8"), 1: info("5'9"), 2: info("5'9")},
        (0, 1, 2),
        (1, (0, 1, 2), ()),
    ),
    ("further, but of before", {0: info("5'8"), 1: info("4'9", 4)}, (0, 1), (0, (0, 1), ())),
    ("one is new", {0: info("5'9", tail="5'3"), 1: info("0'0", 0)}, (0, 1), (0, (0,), (1,))),
    ("the first is new", {0: info("0'0", 0), 1: info("5'9", tail="5'3")}, (0, 1), (1, (1,), (0,))),
    (
        "a stray stands in",
        {0: info("0'0", 0), 1: info("5'9", tail="5'3"), 3: info("5'7")},
        (0, 1),
        (1, (1, 3), (0,)),
    ),
    ("half filled", {0: info("5'9", filled=False), 1: info("5'8")}, (0, 1), (1, (1,), (0,))),
]


@pytest.mark.parametrize(("name", "infos", "up", "wanted"), CHOICES, ids=[c[0] for c in CHOICES])
def test_choosing(
    name: str, infos: dict[int, Info], up: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    choice = choosing.choose(view(up), infos, up[0])
    assert choice is not None
    assert (choice.best, choice.acting, choice.backfill) == wanted


def test_nobody_has_a_log_that_counts() -> None:
    assert choosing.choose(view((0,)), {0: info("5'9", filled=False)}, 0) is None


def test_whom_to_ask() -> None:
    past = [
        Interval(2, 3, (3, 4), True),
        Interval(4, 5, (2, 3), True),
        Interval(6, 7, (4,), False),
        Interval(7, 8, (1, 3), True),
    ]
    prior = choosing.prior(view((0, 1), "0123"), past, 4)
    assert (prior.ask, prior.blocked) == ({0, 1, 2, 3}, frozenset())
    prior = choosing.prior(view((0, 1), "01"), past, 4)
    assert (prior.ask, prior.blocked) == ({0, 1}, {2, 3})
    assert choosing.prior(view((0, 1), "01"), past, 7).blocked == frozenset()


@pytest.mark.parametrize(
    ("alive", "known", "lost", "blocked"),
    [
        ("0", "01234", {}, {2, 3}),
        ("03", "01234", {}, set()),
        ("0", "01234", {2: 6}, set()),  # given up, as if it were there and knew of nothing
        ("0", "01234", {2: 4}, {2, 3}),  # given up before that interval began
        ("0", "0134", {}, {3}),  # not in the map any more, so it will not come; the other may
        ("0", "014", {}, set()),
    ],
)
def test_who_was_given_up_is_not_waited_for(
    alive: str, known: str, lost: dict[int, int], blocked: set[int]
) -> None:
    now = msgspec.structs.replace(view((0,), alive), known=frozenset(map(int, known)), lost=lost)
    past = [Interval(4, 5, (2, 3), True), Interval(6, 7, (4,), False)]
    assert choosing.prior(now, past, 4).blocked == blocked


def test_as_many_shards_are_waited_for_as_make_an_object() -> None:
    past = [
        Interval(4, 5, tuple(member_of(osd, shard) for shard, osd in enumerate((2, 3, 4))), True)
    ]
    now = msgspec.structs.replace(view((0,)), alive=frozenset({member_of(3, 1)}), k=2)
    wanted = {member_of(2, 0), member_of(4, 2)}
    assert choosing.prior(now, past, 4).blocked == wanted
    given_up = msgspec.structs.replace(now, lost={4: 6})
    assert choosing.prior(given_up, past, 4).blocked == frozenset()


def test_an_interval_may_have_written_only_if_its_primary_said_that_it_was_up() -> None:
    assert choosing.may_have_written(8, view((0, 1)))
    assert not choosing.may_have_written(9, view((0, 1)))
    assert not choosing.may_have_written(8, view((0,)))
