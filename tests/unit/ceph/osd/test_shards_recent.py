# SPDX-License-Identifier: Apache-2.0
"""Which stripes an OSD keeps in memory, and that they are few."""

from octostack.engines.ceph.osd.core.shards.recent import Recent
from octostack.wire.ceph.objects import HObject

A, B = HObject(b"a"), HObject(b"b")


def test_stripes_are_found_until_they_change() -> None:
    recent = Recent()
    recent.put("group", A, {3: b"three", 4: b"four"})
    assert recent.find("group", A, (3, 4)) == [b"three", b"four"]
    assert recent.find("group", A, (3, 5)) is None
    assert recent.find("other", A, (3,)) is None
    recent.put("group", A, {3: b"new"})
    recent.drop("group", A, (4, 9))
    assert recent.find("group", A, (3,)) == [b"new"]
    assert recent.find("group", A, (4,)) is None
    recent.put("group", B, {3: b"of b"})
    recent.drop("group", A)
    assert recent.find("group", A, (3,)) is None
    assert recent.find("group", B, (3,)) == [b"of b"]
    recent.forget("group")
    assert recent.find("group", B, (3,)) is None


def test_those_not_asked_for_go_first() -> None:
    recent = Recent(most=30)
    for number in range(3):
        recent.put("group", A, {number: b"ten bytes."})
    assert recent.find("group", A, (0,)) is not None
    recent.put("other", B, {7: b"ten bytes."})
    assert recent.find("group", A, (1,)) is None
    assert recent.find("group", A, (0, 2)) is not None
    recent.put("other", A, {1: b"x" * 31})  # more than there may be at all
    assert recent.find("other", A, (1,)) is None
    assert recent.find("group", A, (0,)) is None
