# SPDX-License-Identifier: Apache-2.0
"""The bus: parts of the cloud call each other by contract, wherever they run.

A contract (`base.contract`) is an abstract class. One side serves it, others hold a stub that
looks like it; neither knows whether the other is in the same process::

    await bus.serve(ComputeAgent, agent, instance="host1")
    agent = bus.stub(ComputeAgent, instance="host1", timeout_s=30)
    await agent.ensure_machine(spec)

Calls travel as bytes even inside one process, so that the embedded default cannot hide what a
split would break: what is not msgspec's does not get through, and nobody shares a mutable object.

**Errors** of `base.errors` arrive as they were raised: kind, code, message, details. Any other
exception is logged where it happened and arrives as a plain OctoError (``bus.internal``).

**Time**: each call has a timeout; the time left travels with the call, holds on the serving side,
and bounds the calls made while serving. A cancelled caller cancels the work. A call from within a
write transaction is a mistake and fails at once (`runtime.scopes` says why).

**Versions**: an answer tells the version of who answered. A method marked ``@since(1, 1)`` raises
Unsupported (``bus.peer_too_old``) when the peer is older; `Bus.peer_version` lets a caller ask.

**Events** are hints: at most once, to whoever listens now. `Loop` makes it right.

Read next: `bus` (what a service uses), `stub` and `server` (the two ends), `shape` (codecs from
type hints), `wire.bus` (the envelope), `transport` and `nats` (what carries the bytes).
"""

from octostack.runtime.bus.bus import Bus, subject_of, topic_of
from octostack.runtime.bus.transport import Close, InProcess, Transport

__all__ = ["Bus", "Close", "InProcess", "Transport", "subject_of", "topic_of"]
