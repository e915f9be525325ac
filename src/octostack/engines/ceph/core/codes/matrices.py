# SPDX-License-Identifier: Apache-2.0
"""The coefficients of parity, row by row, as Ceph's plug-ins choose them: so pieces are equal.

`reed_sol_van` and `reed_sol_r6_op` are those of jerasure with words of 8 bits, the others those of
ISA-L. A technique whose matrix fails for some set of losses is refused in those sizes.
"""

from collections.abc import Callable

from octostack.base.errors import Invalid
from octostack.engines.ceph.core.codes.field import Matrix, inverse, multiply

PIECES_MAX = 256


def parity_rows(plugin: str, technique: str, k: int, m: int) -> Matrix:
    """m rows of k coefficients. Raises Invalid for what is not there or cannot be."""
    make = _TECHNIQUES.get((plugin, technique))
    if make is None:
        raise Invalid(
            f"technique={technique} is not a valid coding technique", code="codes.unknown"
        )
    if k < 2:
        raise Invalid(f"k={k} must be >= 2", code="codes.k")
    if m < 1:
        raise Invalid(f"m={m} must be >= 1", code="codes.m")
    if k + m > PIECES_MAX:
        raise Invalid(f"k+m={k + m} is more than {PIECES_MAX}", code="codes.size")
    return make(k, m)


def _vandermonde(k: int, m: int) -> Matrix:
    """Plank's systematic form of the extended Vandermonde matrix: first row and column are 1."""
    rows = [[1] + [0] * (k - 1)]
    for number in range(1, k + m - 1):
        row = [1]
        while len(row) < k:
            row.append(multiply(row[-1], number))
        rows.append(row)
    rows.append([0] * (k - 1) + [1])
    for at in range(1, k):
        _clear(rows, at)
    parity = rows[k:]
    scales = [inverse(value) for value in parity[0]]
    parity = [[multiply(s, v) for s, v in zip(scales, row, strict=True)] for row in parity]
    return [[multiply(inverse(row[0]), value) for value in row] for row in parity]


def _clear(rows: Matrix, at: int) -> None:
    """Make row `at` that of the identity, by operations on columns."""
    pivot = next(n for n in range(at, len(rows)) if rows[n][at])
    rows[at], rows[pivot] = rows[pivot], rows[at]
    scale = inverse(rows[at][at])
    for row in rows:
        row[at] = multiply(scale, row[at])
    factors = [0 if column == at else value for column, value in enumerate(rows[at])]
    for row in rows:
        base = row[at]
        for column, factor in enumerate(factors):
            row[column] ^= multiply(factor, base)


def _raid6(k: int, m: int) -> Matrix:
    if m != 2:
        raise Invalid(f"m={m} must be 2 for RAID6", code="codes.m")
    return _powers(k, m)


def _isa_vandermonde(k: int, m: int) -> Matrix:
    if k > 32 or m > 4 or (m == 4 and k > 21):
        raise Invalid("k=32, m=4, or k=21 with m=4 is the most for this matrix", code="codes.size")
    return _powers(k, m)


def _powers(k: int, m: int) -> Matrix:
    rows, base = [], 1
    for _ in range(m):
        row = [1]
        while len(row) < k:
            row.append(multiply(row[-1], base))
        rows.append(row)
        base = multiply(base, 2)
    return rows


def _isa_cauchy(k: int, m: int) -> Matrix:
    if m == 1:
        return [[1] * k]  # Ceph takes the plain sum then
    return [[inverse((k + row) ^ column) for column in range(k)] for row in range(m)]


_TECHNIQUES: dict[tuple[str, str], Callable[[int, int], Matrix]] = {
    ("jerasure", "reed_sol_van"): _vandermonde,
    ("jerasure", "reed_sol_r6_op"): _raid6,
    ("isa", "reed_sol_van"): _isa_vandermonde,
    ("isa", "cauchy"): _isa_cauchy,
}
