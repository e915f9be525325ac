# SPDX-License-Identifier: Apache-2.0
"""The frames of the bus: a call, its answer, an event; msgpack, arrays for the envelope.

An envelope only grows at its end, with defaults: an older reader ignores what it does not know.
The body stands in the envelope as msgpack of its own and is decoded by whoever knows its type.
"""

from typing import Any

import msgspec

from octostack.base.errors import KINDS, OctoError

EMPTY = msgspec.Raw(b"\xc0")  # nil


class Call(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One request. `timeout_s` is the time left when it was sent: clocks of hosts differ."""

    contract: str
    method: str
    version: tuple[int, int]
    timeout_s: float
    request_id: str
    trace: str  # the calls this one serves, "Contract.method>Contract.method"
    body: msgspec.Raw


class Failure(msgspec.Struct, array_like=True, frozen=True):
    """An error of `base.errors` on its way across."""

    kind: str
    code: str
    message: str
    details: dict[str, Any]


class Answer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The end of a call; `version` is what the answering side runs."""

    version: tuple[int, int]
    body: msgspec.Raw = EMPTY
    failure: Failure | None = None


encoder = msgspec.msgpack.Encoder(enc_hook=str)  # details may hold anything that prints
decode_call = msgspec.msgpack.Decoder(Call).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


def failure_of(error: OctoError) -> Failure:
    """The error as it travels: kind, code, message, details; no traceback, no cause."""
    return Failure(error.kind, error.code, error.message, error.details)


def error_of(failure: Failure) -> OctoError:
    """The error to raise on the calling side; a kind from a newer peer becomes an OctoError."""
    error = KINDS.get(failure.kind, OctoError)(failure.message, code=failure.code)
    error.details = failure.details
    return error
