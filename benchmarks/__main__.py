# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks [NAME]...`: run all measurements, or those named."""

import argparse
import asyncio
import importlib
import signal
import sys

from benchmarks.measure import Report

ALL = (
    "startup",
    "bus",
    "tokens",
    "boots",
    "scheduling",
    "ports",
    "guests",
    "crush",
    "objectstore",
    "rados",
    "recovery",
    "client",
    "codes",
)


async def _run(names: list[str]) -> None:
    # Cut short, a measurement still takes its cloud down: by Ctrl-C (as asyncio does it) or TERM.
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    report = Report()
    report.head()
    for name in names:
        await importlib.import_module(f"benchmarks.{name}").run(report)


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ALL, []], default=list(ALL))
    try:
        asyncio.run(_run(parser.parse_args().names))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("cut short")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
