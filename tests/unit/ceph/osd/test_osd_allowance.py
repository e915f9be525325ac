# SPDX-License-Identifier: Apache-2.0
"""What recovery may have under way, and who is called when there is room again."""

from octostack.engines.ceph.osd.core.allowance import Allowance


def test_objects_and_bytes_are_bounded_and_the_line_moves() -> None:
    allowance = Allowance()
    allowance.objects_max, allowance.bytes_max = 3, 100
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
