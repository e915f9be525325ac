# SPDX-License-Identifier: Apache-2.0
"""Tables, sizes and times as Ceph prints them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from octostack.wire.ceph.maps.crush import ITEM_NONE

NANOS: Final = 1_000_000_000


def table(headings: str, rows: Iterable[Sequence[object]], left: str = "") -> str:
    """`headings` are separated by `|`; those named in `left` (likewise) stand to the left."""
    names = headings.split("|")
    at_left = set(left.split("|"))
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [
        max(len(name), *(len(line[place]) for line in lines)) if lines else len(name)
        for place, name in enumerate(names)
    ]

    def format_line(cells: Sequence[str], *, heading: bool = False) -> str:
        shown = []
        for place, cell in enumerate(cells):
            to_left = names[place] in at_left or (heading and names[place] in at_left)
            shown.append(cell.ljust(widths[place]) if to_left else cell.rjust(widths[place]))
        return "  ".join(shown)

    return "".join(
        line + "\n"
        for line in (format_line(names, heading=True), *(format_line(line) for line in lines))
    )


def bytes_text(number: float) -> str:
    """``4.0 MiB``: as Ceph prints sizes."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    at = 0
    while number >= 1024 and at < len(units) - 1:
        number /= 1024
        at += 1
    if at == 0:
        return f"{int(number)} B"
    return f"{number:.1f} {units[at]}" if number < 10 else f"{number:.0f} {units[at]}"


def stamp(nanos: int) -> str:
    """A time as Ceph's JSON has it."""
    return iso(nanos).removesuffix("Z") + "+0000"


def when(nanos: int) -> str:
    """The same, or Ceph's form for none."""
    return stamp(nanos) if nanos else "0.000000"


def iso(nanos: int) -> str:
    """``2026-01-31T12:00:00.000001Z``."""
    moment = datetime.fromtimestamp(nanos // NANOS, UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{nanos % NANOS // 1000:06d}Z"


def duration_text(seconds: float) -> str:
    """``3m``: how long something has been so."""
    for unit, length in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"


def members_text(members: Iterable[int]) -> str:
    """``[3,NONE,0]``: the OSDs of a group."""
    return f"[{','.join('NONE' if one == ITEM_NONE else str(one) for one in members)}]"
