# SPDX-License-Identifier: Apache-2.0
"""What is counted, in the text form that Prometheus scrapes.

One registry a process: the parts of an embedded cloud share it, told apart by labels. Labels are
bounded sets (a service, a route's template, a loop's name), never an id out of a request. Children
are cached here, so that counting costs one dictionary look-up and one addition.
"""

from collections.abc import Iterator
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REGISTRY = CollectorRegistry(auto_describe=True)

_FAST_S = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
_SLOW_S = (0.005, 0.05, 0.5, 5.0, 60.0)

_requests = Counter(
    "octostack_http_requests", "Answers sent", ["service", "method", "route", "status"],
    registry=REGISTRY,
)  # fmt: skip
_latency = Histogram(
    "octostack_http_seconds", "Time from the first byte in to the last byte out",
    ["service", "method", "route"], buckets=_FAST_S, registry=REGISTRY,
)  # fmt: skip
_loops = Histogram(
    "octostack_loop_seconds", "Runs of a reconcile loop", ["loop"],
    buckets=_SLOW_S, registry=REGISTRY,
)  # fmt: skip
_loop_errors = Counter(
    "octostack_loop_errors", "Runs of a reconcile loop that failed", ["loop"], registry=REGISTRY
)
_sagas = Counter(
    "octostack_saga_ends", "Sagas that came to an end", ["saga", "outcome"], registry=REGISTRY
)
_saga_steps = Counter(
    "octostack_saga_steps", "Steps run", ["saga", "step", "outcome"], registry=REGISTRY
)
_sagas_open = Gauge("octostack_sagas_open", "Sagas not yet at an end", ["saga"], registry=REGISTRY)
_events_dropped = Counter(
    "octostack_bus_events_dropped", "Hints lost to a full queue", ["topic"], registry=REGISTRY
)


@cache
def _request(service: str, method: str, route: str, status: int) -> Counter:
    return _requests.labels(service, method, route, str(status))


@cache
def _request_latency(service: str, method: str, route: str) -> Histogram:
    return _latency.labels(service, method, route)


def request(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """One HTTP answer; `route` is the template, not the path."""
    _request(service, method, route, status).inc()
    _request_latency(service, method, route).observe(seconds)


@cache
def _loop(name: str) -> tuple[Histogram, Counter]:
    return _loops.labels(name), _loop_errors.labels(name)


def loop_run(name: str, seconds: float, ok: bool) -> None:
    """One run of a reconcile loop."""
    runs, errors = _loop(name)
    runs.observe(seconds)
    if not ok:
        errors.inc()


@cache
def _saga_end(saga: str, outcome: str) -> Counter:
    return _sagas.labels(saga, outcome)


def saga_end(saga: str, outcome: str) -> None:
    """A saga reached its end: done, undone or failed."""
    _saga_end(saga, outcome).inc()


@cache
def _saga_step(saga: str, step: str, outcome: str) -> Counter:
    return _saga_steps.labels(saga, step, outcome)


def saga_step(saga: str, step: str, outcome: str) -> None:
    """A step ran: done, undone, retry or failed."""
    _saga_step(saga, step, outcome).inc()


def sagas_open(saga: str, count: int) -> None:
    """How many sagas of one name this process is driving now."""
    _sagas_open.labels(saga).set(count)


class Calls(Collector):
    """Calls served. A call takes microseconds, a Counter's lock one of them: these are plain."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], list[int]] = {}

    def row(self, contract: str, method: str, outcome: str = "ok") -> list[int]:
        """The one number to count up; `outcome` is ok or the kind of the error."""
        return self._rows.setdefault((contract, method, outcome), [0])

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        family = CounterMetricFamily(
            "octostack_bus_calls", "Calls served", labels=["contract", "method", "outcome"]
        )
        for labels, row in list(self._rows.items()):
            if row[0]:
                family.add_metric(list(labels), row[0])
        yield family


CALLS = Calls()
REGISTRY.register(CALLS)


def event_dropped(topic: str) -> None:
    """A hint was lost because its subscriber's queue was full."""
    _events_dropped.labels(topic).inc()


def render() -> bytes:
    """Everything counted so far, as the body of ``GET /metrics``."""
    return generate_latest(REGISTRY)
