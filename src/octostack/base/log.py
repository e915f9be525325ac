# SPDX-License-Identifier: Apache-2.0
"""Structured logs: one JSON line per event, the request's id in each.

``get("network").info("port bound", port=port_id)``: the text is constant, the facts are keys. A
page of code in place of a library, because the libraries cost a third of a second at every start.
"""

import sys
import traceback
from contextvars import ContextVar
from typing import Any, TextIO

import msgspec

from octostack.base import clock
from octostack.base.errors import OctoError

request_id: ContextVar[str] = ContextVar("request_id", default="")

# A key with one of these words in it never reaches a log, whoever wrote the line.
SECRET_WORDS = ("password", "secret", "token", "credential", "private", "adminpass", "admin_pass")

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_encode = msgspec.json.Encoder(enc_hook=str).encode


class _Out:
    """Where this process's lines go, and from which level on."""

    stream: TextIO = sys.stderr
    threshold: int = _LEVELS["info"]


class Logger:
    """The voice of one part of the program."""

    __slots__ = ("_part",)

    def __init__(self, part: str) -> None:
        self._part = part

    def debug(self, event: str, **facts: Any) -> None:
        """For who looks for a fault."""
        if _Out.threshold <= _LEVELS["debug"]:
            self._write("debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """What an operator wants to know afterwards."""
        if _Out.threshold <= _LEVELS["info"]:
            self._write("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Something is not as it should be, and was dealt with."""
        if _Out.threshold <= _LEVELS["warning"]:
            self._write("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Something failed."""
        self._write("error", event, facts)

    def exception(self, event: str, **facts: Any) -> None:
        """Something failed with the exception being handled; its trace is part of the line."""
        self._write("error", event, {**facts, "exception": traceback.format_exc()})

    def failed(self, event: str, error: BaseException, **facts: Any) -> None:
        """Something failed with `error`; its trace follows where its text does not say it all."""
        facts["error"] = str(error)
        if isinstance(error, OctoError):
            self.warning(event, **facts)
        else:
            trace = "".join(traceback.format_exception(error))
            self._write("error", event, {**facts, "exception": trace})

    def _write(self, level: str, event: str, facts: dict[str, Any]) -> None:
        line: dict[str, Any] = {
            "time": clock.iso(clock.now(), micros=True),
            "level": level,
            "part": self._part,
            "event": event,
        }
        rid = request_id.get()
        if rid:
            line["request_id"] = rid
        for key, value in facts.items():
            line[key] = "***" if _is_secret(key) else value
        _Out.stream.write(_encode(line).decode() + "\n")
        _Out.stream.flush()


def get(part: str) -> Logger:
    """The logger of one part."""
    return Logger(part)


def configure(*, stream: TextIO | None = None, level: str = "info") -> None:
    """Send this process's lines to `stream` (standard error by default) from `level` on."""
    _Out.stream = stream or sys.stderr
    _Out.threshold = _LEVELS[level]


def _is_secret(key: str) -> bool:
    lowered = key.lower()
    return any(word in lowered for word in SECRET_WORDS)
