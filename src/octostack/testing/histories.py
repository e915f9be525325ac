# SPDX-License-Identifier: Apache-2.0
"""Whether what clients saw of one object could have happened one operation after the other.

`explain` looks for an order of all operations in which each has its effect at one moment between
its beginning and its end, and each answer is right (Wing and Gong's search, remembering where it
has been). An operation without an answer may have happened at any later moment, or never.

The state has what snapshots keep: a change that comes with newer ones than the object has seen
leaves them what was there before, and a read may look at one of them.
"""

from collections.abc import Iterable, Iterator

import msgspec

State = tuple[bytes, bytes] | None  # bytes, and the mark that came with the last change
NEVER = float("inf")


class Object(msgspec.Struct, frozen=True):
    """All there is of an object at a moment."""

    head: State = None
    seq: int = 0  # the newest snapshot that a change knew of
    kept: tuple[tuple[int, State], ...] = ()  # for each snapshot that was taken of something

    def at(self, snap: int) -> State:
        """What a read sees; 0 is the head."""
        if not snap or snap > self.seq:
            return self.head
        return next((state for number, state in self.kept if number == snap), None)


class Operation(msgspec.Struct):
    """One operation of a client on the object, and what came of it."""

    kind: str  # write, append, remove, read
    begun: float
    payload: bytes = b""
    mark: bytes = b""
    ended: float = NEVER
    seen: State = None  # by a read, or by a remove: None when nothing was there
    version: int = 0  # of an acknowledged change
    seq: int = 0  # the newest snapshot that a change knew of,
    snaps: tuple[int, ...] = ()  # and those that were to be kept, newest first
    snap: int = 0  # that a read looked at

    def steps(self, before: Object) -> Iterator[Object]:
        """The states that may come of it; none when its answer cannot be right."""
        state = before.head
        match self.kind:
            case "read":
                if self.ended == NEVER or before.at(self.snap) == self.seen:
                    yield before
            case "write":
                yield from self._after(before, (self.payload, self.mark))
            case "append":
                data = (state[0] if state else b"") + self.payload
                yield from self._after(before, (data, self.mark))
            case "remove" if state is None:
                if self.ended == NEVER or self.seen is None:
                    yield before
            case "remove":
                if self.ended == NEVER or self.seen is not None:
                    yield from self._after(before, None)

    def _after(self, before: Object, head: State) -> Iterator[Object]:
        seq, kept = max(before.seq, self.seq), before.kept
        if before.head is not None:
            new = [snap for snap in reversed(self.snaps) if snap > before.seq]
            kept += tuple((snap, before.head) for snap in new)
        yield Object(head, seq, kept)
        if before.head is None and self.seq < before.seq:
            yield Object(head, self.seq, kept)  # no snapshot needed it: all memory of it was gone

    def __str__(self) -> str:
        seen = "" if self.kind in ("write", "append") else f" saw {_short(self.seen)}"
        where = f" at {self.snap}" * bool(self.snap) + f" with {self.snaps}" * bool(self.snaps)
        mark = self.mark.decode()
        times = f"{self.begun:9.4f} {self.ended:9.4f}"
        return f"{times} {self.kind:6} {mark}{where}{seen} v{self.version}"


def explain(operations: Iterable[Operation]) -> list[Operation] | None:
    """An order that explains all answers; None when there is none."""
    todo = sorted(operations, key=lambda one: one.begun)
    everything = sum(1 << n for n, one in enumerate(todo) if one.ended != NEVER)
    seen: set[tuple[int, Object]] = set()
    stack: list[tuple[int, Object, tuple[int, ...]]] = [(0, Object(), ())]
    while stack:
        done, state, order = stack.pop()
        if done & everything == everything:
            return [todo[n] for n in order]
        if (done, state) in seen:
            continue
        seen.add((done, state))
        for number in _next(todo, done):
            for after in todo[number].steps(state):
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
