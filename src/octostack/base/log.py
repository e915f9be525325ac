# SPDX-License-Identifier: Apache-2.0
"""Structured logs: one JSON line per event, the request's id in each.

``get("network").info("port bound", port=port_id)``. The text is constant, the facts are keys.
"""

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, TextIO

import msgspec
import structlog

from octostack.base import clock

request_id: ContextVar[str] = ContextVar("request_id", default="")

Event = MutableMapping[str, Any]

# A key with one of these words in it never reaches a log, whoever wrote the line.
SECRET_WORDS = ("password", "secret", "token", "credential", "private", "adminpass", "admin_pass")


def get(name: str) -> Any:
    """The logger of one part."""
    return structlog.get_logger(part=name)


def configure(*, stream: TextIO | None = None, level: str = "info", console: bool = False) -> None:
    """Send this process's log lines to `stream` (standard error by default)."""
    out = stream or sys.stderr
    renderer: Any = structlog.dev.ConsoleRenderer(colors=False) if console else _render_json
    structlog.configure(
        processors=[_add_facts, _hide_secrets, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=out, level=logging.WARNING, force=True)


def _add_facts(
    _logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event["level"] = method
    event["time"] = clock.iso(clock.now(), micros=True)
    rid = request_id.get()
    if rid:
        event.setdefault("request_id", rid)
    return event


def _hide_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key in event:
        if any(word in key.lower() for word in SECRET_WORDS):
            event[key] = "***"
    return event


def _render_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
