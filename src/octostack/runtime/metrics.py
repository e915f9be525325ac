# SPDX-License-Identifier: Apache-2.0
"""What is counted, in the text form that Prometheus scrapes (exposition format 0.0.4).

The parts of an embedded cloud share one process's figures, told apart by labels. Labels are
bounded sets (a service, a route's template, a loop's name), never an id out of a request. A row is
a list of numbers that is added to: all counting is done on the event loop, and needs no lock.

Two pages of our own: the usual library takes a tenth of a second of each start, most of it for an
HTTP server of its own.
"""

import bisect
import math
from collections.abc import Iterator, Sequence

_FAST_S = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
_SLOW_S = (0.005, 0.05, 0.5, 5.0, 60.0)


class Family:
    """One figure, a row of numbers for each set of values of its labels."""

    kind = "counter"

    def __init__(self, name: str, about: str, labels: Sequence[str]) -> None:
        self.name = name
        self._about = about
        self._labels = labels
        self._rows: dict[tuple[str, ...], list[float]] = {}

    def row(self, *values: str) -> list[float]:
        """The numbers for these values of the labels, to be added to."""
        row = self._rows.get(values)
        if row is None:
            assert len(values) == len(self._labels), (self.name, values)
            row = self._rows[values] = self._new()
        return row

    def lines(self) -> Iterator[str]:
        """The family in the text form."""
        yield f"# HELP {self.name} {self._about}\n# TYPE {self.name} {self.kind}\n"
        for values, row in list(self._rows.items()):
            yield from self._shown(dict(zip(self._labels, values, strict=True)), row)

    def _new(self) -> list[float]:
        return [0]

    def _shown(self, labels: dict[str, str], row: Sequence[float]) -> Iterator[str]:
        yield _line(self.name, labels, row[0])


class Gauge(Family):
    """A figure that goes up and down."""

    kind = "gauge"


class Histogram(Family):
    """Observations by how large they were: a number for each bound, one beyond, and the sum."""

    kind = "histogram"

    def __init__(
        self, name: str, about: str, labels: Sequence[str], bounds: tuple[float, ...]
    ) -> None:
        super().__init__(name, about, labels)
        self._bounds = bounds

    def observe(self, row: list[float], value: float) -> None:
        """One observation into a row of this family."""
        row[bisect.bisect_left(self._bounds, value)] += 1
        row[-1] += value

    def _new(self) -> list[float]:
        return [0] * (len(self._bounds) + 2)

    def _shown(self, labels: dict[str, str], row: Sequence[float]) -> Iterator[str]:
        total = 0.0
        for bound, count in zip((*self._bounds, math.inf), row[:-1], strict=True):
            total += count
            yield _line(f"{self.name}_bucket", {**labels, "le": _number(bound)}, total)
        yield _line(f"{self.name}_count", labels, total)
        yield _line(f"{self.name}_sum", labels, row[-1])


_requests = Family(
    "octostack_http_requests_total", "Answers sent", ("service", "method", "route", "status")
)
_latency = Histogram(
    "octostack_http_seconds", "Time from the first byte in to the last byte out",
    ("service", "method", "route"), _FAST_S,
)  # fmt: skip
_loops = Histogram("octostack_loop_seconds", "Runs of a reconcile loop", ("loop",), _SLOW_S)
_loop_errors = Family(
    "octostack_loop_errors_total", "Runs of a reconcile loop that failed", ("loop",)
)
_sagas = Family(
    "octostack_saga_ends_total", "Sagas that came to an end", ("saga", "outcome")
)  # fmt: skip
_saga_steps = Family("octostack_saga_steps_total", "Steps run", ("saga", "step", "outcome"))
_sagas_open = Gauge("octostack_sagas_open", "Sagas not yet at an end", ("saga",))
_events_dropped = Family(
    "octostack_bus_events_dropped_total", "Hints lost to a full queue", ("topic",)
)
# Labels: contract, method, and ok or the kind of the error.
CALLS = Family("octostack_bus_calls_total", "Calls served", ("contract", "method", "outcome"))

_FAMILIES = (_requests, _latency, _loops, _loop_errors, _sagas, _saga_steps, _sagas_open,
             _events_dropped, CALLS)  # fmt: skip


def request(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """One HTTP answer; `route` is the template, not the path."""
    _requests.row(service, method, route, str(status))[0] += 1
    _latency.observe(_latency.row(service, method, route), seconds)


def loop_run(name: str, seconds: float, ok: bool) -> None:
    """One run of a reconcile loop."""
    _loops.observe(_loops.row(name), seconds)
    errors = _loop_errors.row(name)  # there from the first run on: a rate needs its zero
    if not ok:
        errors[0] += 1


def saga_end(saga: str, outcome: str) -> None:
    """A saga reached its end: done, undone or failed."""
    _sagas.row(saga, outcome)[0] += 1


def saga_step(saga: str, step: str, outcome: str) -> None:
    """A step ran: done, undone, retry or failed."""
    _saga_steps.row(saga, step, outcome)[0] += 1


def sagas_open(saga: str, count: int) -> None:
    """How many sagas of one name this process is driving now."""
    _sagas_open.row(saga)[0] = count


def event_dropped(topic: str) -> None:
    """A hint was lost because its subscriber's queue was full."""
    _events_dropped.row(topic)[0] += 1


def render() -> bytes:
    """Everything counted so far, as the body of ``GET /metrics``."""
    return "".join(line for family in _FAMILIES for line in family.lines()).encode()


def _line(name: str, labels: dict[str, str], value: float) -> str:
    shown = ",".join(f'{label}="{_escaped(labels[label])}"' for label in sorted(labels))
    return f"{name}{{{shown}}} {_number(value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return "+Inf" if math.isinf(value) else repr(float(value))
