# SPDX-License-Identifier: Apache-2.0
"""Whether what clients saw of one object could have happened one operation after the other.

`explain` looks for an order of all operations in which each has its effect at one moment between
its beginning and its end, and each answer is right (Wing and Gong's search, remembering where it
has been). An operation without an answer may have happened at any later moment, or never.
"""

from collections.abc import Iterable

import msgspec

State = tuple[bytes, bytes] | None  # bytes, and the mark that came with the last change
NEVER = float("inf")


class Operation(msgspec.Struct):
    """One operation of a client on the object, and what came of it."""

    kind: str  # write, append, remove, read
    begun: float
    payload: bytes = b""
    mark: bytes = b""
    ended: float = NEVER
    seen: State = None  # by a read, or by a remove: None when nothing was there
    version: int = 0  # of an acknowledged change

    def step(self, state: State) -> tuple[State, bool]:
        """The state after it, and whether its answer is right (where it has one)."""
        match self.kind:
            case "write":
                return (self.payload, self.mark), True
            case "append":
                return ((state[0] if state else b"") + self.payload, self.mark), True
            case "remove":
                return None, self.ended == NEVER or (state is None) == (self.seen is None)
        return state, self.ended == NEVER or state == self.seen

    def __str__(self) -> str:
        seen = "" if self.kind in ("write", "append") else f" saw {_short(self.seen)}"
        mark = self.mark.decode()
        return f"{self.begun:9.4f} {self.ended:9.4f} {self.kind:6} {mark}{seen} v{self.version}"


def explain(operations: Iterable[Operation]) -> list[Operation] | None:
    """An order that explains all answers; None when there is none."""
    todo = sorted(operations, key=lambda one: one.begun)
    everything = sum(1 << n for n, one in enumerate(todo) if one.ended != NEVER)
    seen: set[tuple[int, State]] = set()
    stack: list[tuple[int, State, tuple[int, ...]]] = [(0, None, ())]
    while stack:
        done, state, order = stack.pop()
        if done & everything == everything:
            return [todo[n] for n in order]
        if (done, state) in seen:
            continue
        seen.add((done, state))
        for number in _next(todo, done):
            after, right = todo[number].step(state)
            if right:
                stack.append((done | 1 << number, after, (*order, number)))
    return None


def check(name: str, operations: list[Operation]) -> None:
    """Raise AssertionError with the shortest beginning that nothing explains."""
    _check_versions(name, operations)
    if explain(operations) is not None:
        return
    ends = sorted(one.ended for one in operations if one.ended != NEVER)
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if explain(_until(operations, ends[middle])) is None:
            high = middle
        else:
            low = middle + 1
    story = _story(_until(operations, ends[low]))
    raise AssertionError(f"no order explains what was seen of {name} until {ends[low]}:\n{story}")


def _story(operations: list[Operation]) -> str:
    return "\n".join(str(one) for one in operations[-40:])


def _until(operations: list[Operation], moment: float) -> list[Operation]:
    """What was known at that moment."""
    return [
        one if one.ended <= moment else msgspec.structs.replace(one, ended=NEVER)
        for one in sorted(operations, key=lambda one: one.begun)
        if one.begun <= moment
    ]


def _next(todo: list[Operation], done: int) -> list[int]:
    """Which may come next: whatever began before the first end of those that are left."""
    first_end = NEVER
    found = []
    for number, one in enumerate(todo):
        if one.begun > first_end:
            break
        if not done >> number & 1:
            found.append(number)
            first_end = min(first_end, one.ended)
    return found[::-1]


def _check_versions(name: str, operations: list[Operation]) -> None:
    """A change that began after another had been acknowledged has a greater version."""
    changes = [one for one in operations if one.version and one.ended != NEVER]
    by_end = sorted(changes, key=lambda one: one.ended)
    newest, at = 0, 0
    for one in sorted(changes, key=lambda one: one.begun):
        while by_end[at].ended < one.begun:
            newest = max(newest, by_end[at].version)
            at += 1
        assert one.version > newest, (
            f"{name}: not newer than {newest}:\n{_story(_until(operations, one.ended))}"
        )


def _short(state: State) -> str:
    return "nothing" if state is None else f"{len(state[0])} bytes of {state[1].decode()}"
