# SPDX-License-Identifier: Apache-2.0
"""Writes docs/reference/: the routes of each API with rule, default and versions, out of the code.

`--check` writes nothing and fails when a page is not what the code says.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from octostack.runtime.http.api import Api
from octostack.runtime.http.route import Route
from octostack.testing.cloud import running

PAGES = Path(__file__).parents[1] / "docs" / "reference"
FIRST, LAST = (0, 0), (999, 999)


def _versions(route: Route) -> str:
    since = "" if route.since == FIRST else "{}.{}".format(*route.since)
    until = "" if route.until == LAST else "{}.{}".format(*route.until)
    return f"{since} to {until}" if until else f"from {since}" if since else ""


def _check(api: Api, rule: str) -> str:
    rules = getattr(api.policy, "rules", None) or {}
    found = rules.get(rule)
    return f"`{found.check}`" if found else ""


def _page(api: Api) -> str:
    newest = api.microversions
    versions = (
        ", microversions {}.{} to {}.{}".format(*newest.minimum, *newest.maximum) if newest else ""
    )
    lines = [
        f"# {api.name}: routes",
        "",
        f"Under `{api.prefix}`{versions}. Written by `make docs` from the route table.",
        "",
        "| method | path | policy rule | default | versions |",
        "|---|---|---|---|---|",
    ]
    for route in api.routes:
        rule = route.rule if isinstance(route.rule, str) else str(route.rule)
        cells = (
            route.method.upper(),
            f"`{route.path}`",
            f"`{rule}`",
            _check(api, rule),
            _versions(route),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


async def _pages() -> dict[Path, str]:
    with tempfile.TemporaryDirectory(prefix="octo-docs-") as directory:
        async with running(Path(directory)) as cloud:
            apis = [api for service in cloud.cloud.services for api in service.apis]
            return {PAGES / f"{api.name}.md": _page(api) for api in apis}


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    pages = asyncio.run(_pages())
    stale = [p for p, text in pages.items() if not p.exists() or p.read_text() != text]
    if check:
        print("\n".join(f"not what the code says: {p}" for p in stale))
        return 1 if stale else 0
    PAGES.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(pages[path])
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
