# SPDX-License-Identifier: Apache-2.0
"""Bounds that uvicorn leaves open: the size and time of a request's head, a client that reads not.

Bodies are bounded in `app`; this stops a client that sends its head a byte a minute, or for ever,
one that goes on sending a body that was refused, and one that takes nothing of a large answer.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from octostack.base import limits

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with a bounded head and bounded patience with a slow reader."""

    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _lingering: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._flows()
        self._linger_no_more()
        if self.cycle is not None:
            self.cycle.scope["octostack.disconnected"] = True  # type: ignore[typeddict-unknown-key]
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._flows()
        self._stalled = self.loop.call_later(limits.WRITE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._flows()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._timer is not None and self._head_bytes > limits.HEADER_BYTES_MAX:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._waits_for_nothing():
            self._expect_head()

    def on_message_complete(self) -> None:
        if self.cycle is not None:
            super().on_message_complete()
        self._linger_no_more()

    def on_response_complete(self) -> None:
        """Answered before all was read: the rest is read for a while, so the answer is too."""
        super().on_response_complete()
        if self.cycle is not None and self.cycle.response_complete and self.cycle.more_body:
            self._lingering = self.loop.call_later(limits.LINGER_TIMEOUT_S, self.transport.abort)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_came()
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            self.send_400_response("Unsupported HTTP version.")
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:
            super().on_body(body)

    def _expect_head(self) -> None:
        if self._timer is None:
            self._head_bytes = 0
            self._timer = self.loop.call_later(limits.HEAD_TIMEOUT_S, self._give_up)

    def _head_came(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _waits_for_nothing(self) -> bool:
        """Between requests, and what came (blank lines, say) has stopped uvicorn's own timer."""
        timers = (self._timer, self._lingering, self.timeout_keep_alive_task)
        idle = self.cycle is None or self.cycle.response_complete
        return idle and timers == (None, None, None)

    def _linger_no_more(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def _flows(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _give_up(self, *_: Any) -> None:
        self._timer = None
        self.transport.close()
