# SPDX-License-Identifier: Apache-2.0
"""What is counted is shown in the text form."""

import re

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
    metrics.CALLS.row("T", "m")[0] += 3
    metrics.CALLS.row("T", "m", "busy")[0] += 1
    metrics.event_dropped("t")
    assert {line: value(line) - before[line] for line in lines} == lines
    assert value('octostack_sagas_open{saga="t"}') == 5
