# SPDX-License-Identifier: Apache-2.0
"""Which copy counts, when a group's time has come, and what clients are told of findings."""

import errno
import struct
from collections.abc import Iterable

import pytest

from octostack.engines.ceph.core.codes import code
from octostack.engines.ceph.core.codes.digest import digest
from octostack.engines.ceph.core.codes.matrices import parity_rows
from octostack.engines.ceph.osd import inconsistent
from octostack.engines.ceph.osd.core.members import member_of
from octostack.engines.ceph.osd.core.scrub import schedule
from octostack.engines.ceph.osd.core.scrub.compare import compare
from octostack.engines.ceph.osd.core.scrub.schedule import DAY_S, Hours, Intervals
from octostack.engines.ceph.osd.core.scrub.values import Difference, Flaw, Result, Seen
from octostack.engines.ceph.osd.core.shards.parity import list_odd
from octostack.engines.ceph.osd.core.values import Stamp
from octostack.engines.ceph.osd.ops.state import INFO_ATTR, ObjectInfo, encode_info
from octostack.testing.osd import op
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.objects import PG, SNAP_HEAD, EVersion, HObject, ShardPG
from octostack.wire.ceph.opcodes import Code

WHAT = HObject(b"o", b"", SNAP_HEAD, 7, False, b"ns", 1)
NS = 10**9


def seen(size: int = 4, version: int = 9, data: int | None = 1, **more: object) -> Seen:
    info = encode_info(ObjectInfo(version=EVersion(3, version), size=4))
    attrs = {INFO_ATTR: info, b"_u": b"v", **more.pop("attrs", {})}
    return Seen(size, attrs, data, 2, **more)


CASES = {
    "all the same": ([seen(), seen(), seen()], None),
    "one of three differs": ([seen(), seen(data=5), seen()], (0, {1})),
    "the primary differs": ([seen(data=5), seen(), seen()], (1, {0})),
    "two of one mind, the primary of another": ([seen(), seen(data=5), seen(data=5)], (1, {0})),
    "one against one": ([seen(data=1), seen(data=5)], (0, {1})),
    "the disk tells": ([seen(data=None, unreadable=True), seen()], (1, {0})),
    "not there": ([None, seen()], (1, {0})),
    "an old version": ([seen(version=8), seen()], (1, {0})),
    "old versions are more": ([seen(version=8), seen(version=8), seen()], (2, {0, 1})),
    "contradicts itself": ([seen(size=5), seen(size=5), seen()], (2, {0, 1})),
    "of no version": ([Seen(4, {}, 1, 2), seen()], (1, {0})),
    "of a broken version": ([seen(attrs={INFO_ATTR: b"?"}), seen()], (1, {0})),
    "nobody is fit": ([seen(size=5), None], (None, {0, 1})),
    "an attribute more": ([seen(), seen(attrs={b"_w": b""}), seen()], (0, {1})),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_who_counts(case: str) -> None:
    copies, expected = CASES[case]
    found = compare(WHAT, dict(enumerate(copies)), 0)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found.authority, set(found.bad)) == expected


class Coded:
    """Shards of 2+2."""

    code = code.Code(2, 2, parity_rows("jerasure", "reed_sol_van", 2, 2))

    def stored_size(self, size: int) -> int:
        return size

    def list_odd(self, pieces: dict[int, bytes]) -> frozenset[int]:
        return list_odd(self.code, pieces)


def shards(*wrong: int, lost: tuple[int, ...] = ()) -> dict[int, Seen | None]:
    data = [b"some", b"data"]
    pieces = [*data, *Coded.code.encode(data)]
    for number in wrong:
        pieces[number] = bytes([pieces[number][0] ^ 1 + number]) + pieces[number][1:]
    whole = {n: seen(data=None, piece=digest([one])) for n, one in enumerate(pieces)}
    return {n: None if n in lost else one for n, one in whole.items()}


@pytest.mark.parametrize(
    ("wrong", "lost", "authority", "bad"),
    [
        ((), (), None, None),
        ((2,), (), 0, {2}),
        ((0,), (), 1, {0}),
        ((1,), (3,), None, {0, 1, 2, 3}),  # three of 2+2: one is wrong, and any may be
        ((), (3,), 0, {3}),
        ((0,), (2, 3), 0, {2, 3}),  # with k of them, nobody can know
        ((0, 1), (), None, {0, 1, 2, 3}),
    ],
)
def test_which_shards_do_not_fit(
    wrong: tuple[int, ...], lost: tuple[int, ...], authority: int | None, bad: set[int] | None
) -> None:
    found = compare(WHAT, shards(*wrong, lost=lost), 0, Coded())
    if bad is None:
        assert found is None
    else:
        assert found is not None
        assert (found.authority, set(found.bad)) == (authority, bad)
        expected = frozenset({Flaw.PIECE}) if set(lost) != bad else frozenset()
        assert found.flaws - {Flaw.MISSING} == expected


def test_shards_are_shown_by_osd_and_shard() -> None:
    members = {member_of(4 + n, n): one for n, one in shards(lost=(1,)).items()}
    found = compare(WHAT, members, member_of(4, 0))
    assert found is not None
    result, output = inconsistent.answer(ask(), 7, Result(True, False, 1, [found]), 0)
    assert result == 0
    assert all(struct.pack("<ib", 4 + n, n) in output for n in range(4))


def test_what_is_wrong_has_cephs_names() -> None:
    found = compare(WHAT, {0: seen(), 1: seen(data=5, attrs={b"_u": b"w"}), 2: None}, 0)
    assert found is not None
    assert found.differences == {Difference.DATA, Difference.ATTR_VALUE}
    assert found.flaws == {Flaw.MISSING}
    result = Result(True, False, 1, [found])
    assert (result.errors, result.shallow_errors, result.deep_errors) == (2, 2, 0)


def test_a_copy_of_another_size_is_not_what_the_one_that_counts_says() -> None:
    found = compare(WHAT, {0: seen(), 1: seen(), 2: seen(size=9)}, 0)
    assert found is not None
    assert found.copies[2].flaws == {Flaw.SIZE_INFO, Flaw.SIZE_WRONG}
    assert Difference.SIZE in found.differences


def test_a_copy_without_its_info_is_flawed_and_not_different() -> None:
    whole = seen()
    bare = Seen(whole.size, {b"_u": b"v"}, whole.data_digest, whole.omap_digest)
    found = compare(WHAT, {0: whole, 1: bare, 2: seen()}, 0)
    assert found is not None
    assert found.copies[1].flaws == {Flaw.INFO_MISSING}
    assert not found.differences


def test_each_group_has_its_turn() -> None:
    groups = {ShardPG(PG(1, seed)): Stamp(DAY_S * NS, DAY_S * NS) for seed in range(100)}
    intervals = Intervals()
    assert schedule.choose(groups, (), (2 * DAY_S - 1) * NS, intervals) is None
    times = sorted(schedule.due(pg, at, intervals).at_ns / NS for pg, at in groups.items())
    assert times[0] >= 2 * DAY_S
    assert times[-1] <= 2.5 * DAY_S
    assert times[90] - times[10] > DAY_S / 4  # not all at once
    first = schedule.choose(groups, (), 3 * DAY_S * NS, intervals)
    assert first is not None
    assert first.at_ns / NS == times[0]
    assert not first.deep
    assert schedule.choose(groups, {first.pg}, 3 * DAY_S * NS, intervals) is None


def test_a_deep_scrub_goes_before_a_shallow_one() -> None:
    groups = {ShardPG(PG(1, 0)): Stamp(20 * DAY_S * NS, DAY_S * NS)}
    found = schedule.choose(groups, (), 21 * DAY_S * NS, Intervals())
    assert found is not None
    assert found.deep


def ask(interval: int = 0, limit: int = 10, after: tuple[bytes, bytes, int] = (b"", b"", 0)):
    w = Writer()
    with w.versioned(1, 1):
        w.u32(interval)
        w.u32(0)
        w.bytes(after[0])
        w.bytes(after[1])
        w.u64(after[2])
        w.u64(limit)
    return op(Code.SCRUBLS, payload=w.done())


def names(output: bytes) -> list[bytes]:
    r = Reader(output)
    found = []
    with r.versioned(1):
        assert r.u32() == 12
        for _ in range(r.u32()):
            one = Reader(r.bytes())
            with one.versioned(2):
                one.u64()
                with one.versioned(1):
                    found.append(one.bytes())
    return found


def test_findings_are_listed_in_pages() -> None:
    findings = []
    for name in (b"a", b"b", b"c"):
        what = HObject(name, b"", SNAP_HEAD, 7, False, b"", 1)
        found = compare(what, {0: seen(), 1: None}, 0)
        assert found is not None
        findings.append(found)
    result = Result(True, False, 3, findings)
    result_code, output = inconsistent.answer(ask(limit=2), 12, result, 0)
    assert (result_code, names(output)) == (0, [b"a", b"b"])
    _, output = inconsistent.answer(ask(12, 2, (b"b", b"", SNAP_HEAD)), 12, result, 0)
    assert names(output) == [b"c"]
    assert inconsistent.answer(ask(11), 12, result, 0)[0] == -errno.EAGAIN
    assert inconsistent.answer(ask(), 12, None, 0)[0] == -errno.ENOENT


@pytest.mark.parametrize(
    ("hours", "allowed"),
    [
        (Hours(), range(24)),
        (Hours(begin_hour=7, end_hour=7), range(24)),
        (Hours(begin_hour=1, end_hour=4), (1, 2, 3)),
        (Hours(begin_hour=22, end_hour=2), (22, 23, 0, 1)),
        (Hours(begin_hour=0, end_hour=24), range(24)),
    ],
)
def test_scrubs_begin_at_certain_hours(hours: Hours, allowed: Iterable[int]) -> None:
    assert {hour for hour in range(24) if hours.allow(hour, 3)} == set(allowed)


def test_scrubs_begin_on_certain_days() -> None:
    hours = Hours(begin_day=5, end_day=1)  # Friday to Sunday; time.tm_wday + 1 has Sunday as 7
    assert [day for day in range(1, 8) if hours.allow(12, day)] == [5, 6, 7]
    assert not Hours(1, 2, begin_day=5, end_day=1).allow(12, 6), "both must be so"
