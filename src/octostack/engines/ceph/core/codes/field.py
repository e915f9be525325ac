# SPDX-License-Identifier: Apache-2.0
"""The field of 256 elements, modulo x^8+x^4+x^3+x^2+1 (0x11d): numbers, and matrices of them."""

from collections.abc import Sequence

from octostack.base.errors import Invalid

POLYNOMIAL = 0x11D
Matrix = list[list[int]]


def _tables() -> tuple[list[int], list[int]]:
    powers, logarithms, value = [0] * 510, [0] * 256, 1
    for exponent in range(255):
        powers[exponent] = powers[exponent + 255] = value
        logarithms[value] = exponent
        value <<= 1
        if value > 255:
            value ^= POLYNOMIAL
    return powers, logarithms


_POWERS, _LOGARITHMS = _tables()


def multiply(a: int, b: int) -> int:
    """Product."""
    return _POWERS[_LOGARITHMS[a] + _LOGARITHMS[b]] if a and b else 0


def inverse(a: int) -> int:
    """1/a; `a` is not 0."""
    assert a
    return _POWERS[255 - _LOGARITHMS[a]]


def power(exponent: int) -> int:
    """2 to the power of `exponent`, which is no less than 0."""
    return _POWERS[exponent % 255]


def product(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]]) -> Matrix:
    """Of two matrices, given as rows."""
    result = [[0] * len(b[0]) for _ in a]
    for row, out in zip(a, result, strict=True):
        for coefficient, other in zip(row, b, strict=True):
            for column, value in enumerate(other):
                out[column] ^= multiply(coefficient, value)
    return result


def inverted(matrix: Sequence[Sequence[int]]) -> Matrix:
    """The inverse of a square matrix. Raises Invalid when there is none."""
    size = len(matrix)
    rows = [[*row, *(int(n == at) for n in range(size))] for at, row in enumerate(matrix)]
    for at in range(size):
        pivot = next((n for n in range(at, size) if rows[n][at]), None)
        if pivot is None:
            raise Invalid("These pieces do not determine the data.", code="codes.singular")
        rows[at], rows[pivot] = rows[pivot], rows[at]
        scale = inverse(rows[at][at])
        rows[at] = [multiply(scale, value) for value in rows[at]]
        for n in range(size):
            factor = rows[n][at]
            if n != at and factor:
                pairs = zip(rows[n], rows[at], strict=True)
                rows[n] = [value ^ multiply(factor, base) for value, base in pairs]
    return [row[size:] for row in rows]
