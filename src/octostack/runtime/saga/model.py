# SPDX-License-Identifier: Apache-2.0
"""What the author of a saga writes, and what a run of one knows."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

import msgspec

from octostack.base.errors import Busy, OctoError, Timeout, Unavailable
from octostack.runtime.db import Tx
from octostack.runtime.tasks import Restart

State = dict[str, Any]
Act = Callable[[Any, State], Awaitable[State | None]]

TRANSIENT = (Unavailable, Timeout, Busy)


class Retry(msgspec.Struct, frozen=True):
    """For how long a step that meets a transient error is tried again, and how often."""

    budget_s: float = 30.0
    pause_s: float = 0.1
    pause_max_s: float = 5.0

    def pause(self, failures: int) -> float:
        """Seconds until the next try, after so many failures."""
        return Restart(pause_s=self.pause_s, pause_max_s=self.pause_max_s).pause(failures)


UNDO = Retry(budget_s=float("inf"), pause_s=0.1, pause_max_s=30.0)


class Step(msgspec.Struct, frozen=True):
    """One step, run again until it is noted; without `undo` nothing of it needs undoing."""

    name: str
    do: Act
    undo: Act | None = None
    retry: Retry = Retry()


class Status(StrEnum):
    """Where a saga is: on its way, on its way back, or at one of its two ends."""

    DOING = "doing"
    UNDOING = "undoing"
    DONE = "done"
    UNDONE = "undone"


class Fault(msgspec.Struct, frozen=True):
    """Why a saga turned, or why its present step does not succeed."""

    step: str
    kind: str
    code: str
    message: str

    @classmethod
    def of(cls, step: str, error: Exception) -> "Fault":
        """`error` in `step`; the text of an unknown kind stays in the log."""
        if isinstance(error, OctoError):
            return cls(step, error.kind, error.code, error.message)
        return cls(step, OctoError.kind, "saga.internal", f"{type(error).__name__} in {step}")


class Run(msgspec.Struct, kw_only=True):
    """One saga's row. `fence` grows with each claim: a token that orders its drivers."""

    id: str
    saga: str
    version: int
    subject: str
    request_id: str
    state: State
    status: Status
    step: int  # the next to do, or the next to undo
    failures: int = 0  # of this step, in a row
    step_began_at: float = 0.0
    next_at: float = 0.0
    cancelled: bool = False
    fault: Fault | None = None  # why it turned
    trouble: Fault | None = None  # the last transient error
    owner: str = ""
    fence: int = 0
    lease_until: float = 0.0
    created_at: float = 0.0
    updated_at: float = 0.0


Hook = Callable[[Any, Tx, Run], Awaitable[None]]  # (app, tx, run)


class Saga(msgspec.Struct, frozen=True):
    """Steps in order, and what to note at the turns; see the package's essay.

    A change of the steps needs another `version`; register both while rows of the old one live.
    """

    name: str
    steps: tuple[Step, ...]
    version: int = 1
    on_done: Hook | None = None
    on_turn: Hook | None = None
    on_failed: Hook | None = None

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        assert names and len(set(names)) == len(names), f"{self.name}: steps need distinct names"
