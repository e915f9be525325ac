# SPDX-License-Identifier: Apache-2.0
"""Tables for people, as Ceph prints them: columns two blanks apart, numbers to the right."""

from collections.abc import Iterable, Sequence


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
