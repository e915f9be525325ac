# SPDX-License-Identifier: Apache-2.0
"""QMP lines as QEMU 7.2 writes them."""

import pytest

from octostack.base.errors import Corrupt
from octostack.wire import qmp

GREETING = (
    b'{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"},'
    b' "capabilities": ["oob"]}}\r\n'
)
CASES = [
    (GREETING, qmp.Greeting((7, 2, 22))),
    (b'{"return": {"status": "running"}, "id": 4}\r\n', qmp.Return(4, {"status": "running"})),
    (b'{"return": {}, "id": 5}\n', qmp.Return(5, {})),
    (
        b'{"id": 6, "error": {"class": "CommandNotFound", "desc": "no such"}}\n',
        qmp.Failure(6, "CommandNotFound", "no such"),
    ),
    (
        b'{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n',
        qmp.Failure(None, "GenericError", "JSON parse error"),
    ),
    (
        b'{"timestamp": {"seconds": 10, "microseconds": 500000}, "event": "SHUTDOWN",'
        b' "data": {"guest": true, "reason": "guest-shutdown"}}\n',
        qmp.Event("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"}, 10.5),
    ),
    (b'{"event": "STOP"}\n', qmp.Event("STOP", {}, 0.0)),
]


@pytest.mark.parametrize(("line", "message"), CASES)
def test_lines(line: bytes, message: qmp.Message) -> None:
    assert qmp.Codec().feed(line) == [message]


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_any_cut_gives_the_same_messages(step: int) -> None:
    data = b"".join(line for line, _ in CASES)
    codec = qmp.Codec()
    found = [m for at in range(0, len(data), step) for m in codec.feed(data[at : at + step])]
    assert found == [message for _, message in CASES]


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"{}\n", b"[]\n", b'{"error": 1}\n', b'{"QMP": {}}\n', b"\xff\n"]
)
def test_nonsense(line: bytes) -> None:
    with pytest.raises(Corrupt):
        qmp.Codec().feed(line)


def test_a_line_without_end() -> None:
    codec = qmp.Codec()
    with pytest.raises(Corrupt):
        for _ in range(18):
            codec.feed(b"x" * (1 << 20))


def test_commands() -> None:
    assert qmp.encode("stop", None, 1) == b'{"execute":"stop","id":1}\n'
    assert qmp.encode("getfd", {"fdname": "a"}, 2) == (
        b'{"execute":"getfd","id":2,"arguments":{"fdname":"a"}}\n'
    )
