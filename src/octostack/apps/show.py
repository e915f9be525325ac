# SPDX-License-Identifier: Apache-2.0
"""What the `octostack` command shows on the terminal."""

import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from octostack.apps.state import Ready, StateDir


def say(text: str = "") -> None:
    """One line, seen at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def red(text: str, stream: TextIO = sys.stdout) -> str:
    """`text` in red where `stream` is a terminal."""
    return _coloured("31", text, stream)


def progress(line: dict[str, Any]) -> None:
    """One line for each part that came up."""
    if "up" in line and line["up"] != "ready":
        note = "  from here on tokens are given out" if line["up"] == "identity" else ""
        say(f"  {_coloured('32', 'up')} {line['up']:<16} {line['ms'] / 1000:6.2f} s{note}")


def ready(state: StateDir, cloud: Ready) -> None:
    """How to use the cloud, and what of it is simulated."""
    took = f"after {cloud.took_ms['ready'] / 1000:.2f} s"
    say(f"\n{_coloured('1', 'The cloud is ready')} {took}.")
    if cloud.simulated_hosts:
        hosts = f"{cloud.simulated_hosts} simulated host(s): no guest really runs"
    else:
        hosts = "real: guests run in QEMU on Open vSwitch on this machine"
    _table(
        (
            ("Endpoint", f"{cloud.url}/identity/v3"),
            ("Hosts", hosts),
            *cloud.facts.items(),
            ("Login", f"admin, password in {state.path / 'clouds.yaml'}"),
            ("Log", str(state.log_file)),
        )
    )
    say("\nTry:")
    say(f"  export OS_CLIENT_CONFIG_FILE={state.path / 'clouds.yaml'}")
    say("  openstack --os-cloud octostack service list")


def findings(found: list[dict[str, Any]]) -> None:
    """What `doctor` found."""
    if not found:
        say("Rows and reality agree.")
        return
    rows = [(f["kind"], f["subject"], f["text"], "yes" if f["repaired"] else "no") for f in found]
    _table([("kind", "subject", "what", "repaired"), *rows])


def trace(result: dict[str, Any]) -> None:
    """The way of one packet, table by table."""
    for step in result["steps"]:
        note = f"  {_coloured('2', step['note'])}" if step.get("note") else ""
        say(f"{step['table']:<20} {step['flow']}{note}")
    if result.get("simulated"):
        say(_coloured("33", "on a simulated switch"))
    say(_coloured("1", result["verdict"]))


def _table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as what is in them; the last one as wide as it likes."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        say("  ".join([*cells, row[-1]]))


def _coloured(code: str, text: str, stream: TextIO = sys.stdout) -> str:
    if not stream.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{code}m{text}\x1b[0m"
