# SPDX-License-Identifier: Apache-2.0
"""What the present task is in the midst of, for parts of the runtime that must know of each other.

The bus refuses a call from within a write transaction: a part called back by its callee would wait
for its own transaction for ever.
"""

from contextvars import ContextVar

import msgspec


class Served(msgspec.Struct, frozen=True, gc=False):
    """The call being served: when it must be over (loop time), and its way here."""

    deadline: float = float("inf")
    trace: str = ""  # "Compute.observed>Network.bind_port"


served: ContextVar[Served] = ContextVar("served", default=Served())  # noqa: B039 - frozen

# The name of the database this task writes to.
writing: ContextVar[str | None] = ContextVar("writing", default=None)


def leave() -> None:
    """Be in the midst of nothing, in the present context."""
    served.set(Served())
    writing.set(None)
