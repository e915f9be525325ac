# SPDX-License-Identifier: Apache-2.0
"""Runs in the clients' environment: subunit in, one line of JSON per test out."""

import json
import sys

import subunit
import testtools


def _outcome(test):
    details = {name: detail.as_text() for name, detail in test["details"].items()}
    started, ended = test["timestamps"]
    trace = details.get("traceback", "") or next(
        (text for name, text in details.items() if name.startswith("traceback")), ""
    )
    return {
        "test": test["id"].partition("[")[0],
        "status": test["status"],
        "reason": details.get("reason", "").strip().replace("\n", " "),
        "trace": trace,
        "seconds": (ended - started).total_seconds() if started and ended else 0.0,
    }


def main():
    """Translate until the stream ends."""
    result = testtools.StreamToDict(
        lambda test: (
            print(json.dumps(_outcome(test))) if test["status"] != "exists" and test["id"] else None
        )
    )
    stream = subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout")
    result.startTestRun()
    stream.run(result)
    result.stopTestRun()


if __name__ == "__main__":
    main()
