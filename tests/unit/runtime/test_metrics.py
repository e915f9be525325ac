# SPDX-License-Identifier: Apache-2.0
"""What is counted is shown in the text form."""

import re

from prometheus_client import parser

from octostack.runtime import metrics


def value(line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", metrics.render().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_everything_counted_is_rendered() -> None:
    lines = {
        'octostack_http_requests_total{method="GET",route="/x/{id}",service="t",status="200"}': 1,
        'octostack_http_seconds_bucket{le="0.02",method="GET",route="/x/{id}",service="t"}': 1,
        'octostack_loop_seconds_count{loop="t"}': 2,
        'octostack_loop_errors_total{loop="t"}': 1,
        'octostack_saga_ends_total{outcome="done",saga="t"}': 1,
        'octostack_saga_steps_total{outcome="retry",saga="t",step="s"}': 1,
        'octostack_bus_calls_total{contract="T",method="m",outcome="ok"}': 3,
        'octostack_bus_calls_total{contract="T",method="m",outcome="busy"}': 1,
        'octostack_bus_events_dropped_total{topic="t"}': 1,
    }
    before = {line: value(line) for line in lines}
    metrics.request("t", "GET", "/x/{id}", 200, 0.01)
    metrics.loop_run("t", 0.1, True)
    metrics.loop_run("t", 0.1, False)
    metrics.saga_end("t", "done")
    metrics.saga_step("t", "s", "retry")
    metrics.sagas_open("t", 5)
    metrics.CALLS.row("T", "m", "ok")[0] += 3
    metrics.CALLS.row("T", "m", "busy")[0] += 1
    metrics.event_dropped("t")
    assert {line: value(line) - before[line] for line in lines} == lines
    assert value('octostack_sagas_open{saga="t"}') == 5


def test_a_scraper_reads_it() -> None:
    metrics.request("s", "GET", 'odd"\\\nroute', 200, 0.3)
    for seconds in (0.001, 0.3, 99.0):
        metrics.request("s", "PUT", "/y", 200, seconds)
    families = {f.name: f for f in parser.text_string_to_metric_families(metrics.render().decode())}
    samples = {
        (s.name, s.labels["route"], s.labels.get("le")): s.value
        for s in families["octostack_http_seconds"].samples
        if s.labels["service"] == "s"
    }
    buckets = {le: n for (name, route, le), n in samples.items() if le and route == "/y"}
    assert list(buckets.values()) == sorted(buckets.values()), "buckets are cumulative"
    assert (buckets["0.001"], buckets["0.5"], buckets["10.0"], buckets["+Inf"]) == (1, 2, 2, 3)
    assert samples["octostack_http_seconds_count", "/y", None] == 3
    assert abs(samples["octostack_http_seconds_sum", "/y", None] - 99.301) < 1e-9
    assert samples["octostack_http_seconds_count", 'odd"\\\nroute', None] == 1
    assert families["octostack_http_requests"].type == "counter"
    assert families["octostack_sagas_open"].type == "gauge"
