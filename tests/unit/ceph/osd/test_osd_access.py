# SPDX-License-Identifier: Apache-2.0
"""What an operation needs of a client's capabilities, where it calls a class."""

import pytest

from octostack.engines.ceph.osd.access import list_needs
from octostack.testing.osd import call, extent, op
from octostack.wire.ceph.cephx import caps
from octostack.wire.ceph.messages.osdop import RawOp
from octostack.wire.ceph.opcodes import Code


@pytest.mark.parametrize(
    ("ops", "need", "classes"),
    [
        ([extent(Code.READ)], caps.R, ()),
        ([op(Code.STAT), extent(Code.WRITE, 0, 1, b"x")], caps.R | caps.W, ()),
        ([call(b"numops", b"add", b"")], 0, (("numops", "add", caps.CLASS_WRITE),)),
        ([call(b"rbd", b"get_size", b"")], 0, (("rbd", "get_size", caps.CLASS_READ),)),
        ([call(b"rbd", b"set_size", b"")], 0, (("rbd", "set_size", caps.CLASS_WRITE),)),
        ([call(b"no", b"such", b"")], 0, (("no", "such", caps.CLASS_READ),)),
    ],
)
def test_a_class_that_was_never_loaded_is_judged_by_what_it_does(
    ops: list[RawOp], need: int, classes: tuple[tuple[str, str, int], ...]
) -> None:
    assert list_needs(ops) == (need, classes)
