# SPDX-License-Identifier: Apache-2.0
"""What the `octostack` command shows on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from octostack.apps.state import Ready, StateDir

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def progress(line: dict[str, Any]) -> None:
    """One line for each part that came up."""
    if "up" in line and line["up"] != "ready":
        out.print(f"  [green]up[/green] {line['up']:<16} {line['ms'] / 1000:6.2f} s")


def ready(state: StateDir, cloud: Ready) -> None:
    """How to use the cloud, and what of it is simulated."""
    out.print()
    out.print(f"[bold]The cloud is ready[/bold] after {cloud.took_ms['ready'] / 1000:.2f} s.")
    if cloud.simulated_hosts:
        hosts = f"{cloud.simulated_hosts} simulated host(s): no guest really runs"
    else:
        hosts = "real: guests run in QEMU on Open vSwitch on this machine"
    table = Table.grid(padding=(0, 2))
    table.add_row("Endpoint", f"{cloud.url}/identity/v3")
    table.add_row("Hosts", hosts)
    for name, fact in cloud.facts.items():
        table.add_row(name, fact)
    table.add_row("Login", f"admin, password in {state.path / 'clouds.yaml'}")
    table.add_row("Log", str(state.log_file))
    out.print(table)
    out.print()
    out.print("Try:")
    out.print(f"  export OS_CLIENT_CONFIG_FILE={state.path / 'clouds.yaml'}", soft_wrap=True)
    out.print("  openstack --os-cloud octostack service list")


def findings(found: list[dict[str, Any]]) -> None:
    """What `doctor` found."""
    if not found:
        out.print("Rows and reality agree.")
        return
    table = Table("kind", "subject", "what", "repaired")
    for finding in found:
        table.add_row(finding["kind"], finding["subject"], finding["text"],
                      "yes" if finding["repaired"] else "no")  # fmt: skip
    out.print(table)


def trace(result: dict[str, Any]) -> None:
    """The way of one packet, table by table."""
    for step in result["steps"]:
        note = f"  [dim]{step['note']}[/dim]" if step.get("note") else ""
        out.print(f"{step['table']:<20} {step['flow']}{note}", soft_wrap=True)
    if result.get("simulated"):
        out.print("[yellow]on a simulated switch[/yellow]")
    out.print(f"[bold]{result['verdict']}[/bold]")
