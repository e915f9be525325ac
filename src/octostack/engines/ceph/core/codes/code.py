# SPDX-License-Identifier: Apache-2.0
"""Encoding and decoding of bytes: sums of multiples of blocks.

Each sum is made by doubling: what has the highest bit of its coefficient set is added first, all is
doubled, then the next bit is added. Eight steps make a whole row whatever its length, each of them
a few operations on whole arrays; a row of ones is a plain sum. Blocks are worked on in parts that
stay in the processor's cache.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from octostack.base.errors import Invalid
from octostack.engines.ceph.core.codes.field import Matrix, inverted, product

Data: TypeAlias = bytes | bytearray | memoryview
_Array: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"

_PART = 32 << 10
_SEVEN = np.int8(7)
_TAIL = np.int8(0x1D)


class Code:
    """k pieces of data, numbered from 0, and m of parity behind them; all have one length."""

    def __init__(self, k: int, m: int, rows: Matrix) -> None:
        assert len(rows) == m
        assert all(len(row) == k for row in rows)
        self.k = k
        self.m = m
        self._rows = rows
        self._plan = [_plan(row) for row in rows]
        self._decoders: dict[tuple[tuple[int, ...], tuple[int, ...]], list[_Plan]] = {}

    def encode(self, data: Sequence[Data]) -> list[bytes]:
        """The m pieces of parity for k of data."""
        assert len(data) == self.k
        return _combine(self._plan, data)

    def decode(self, pieces: Mapping[int, Data], wanted: Sequence[int]) -> dict[int, bytes]:
        """The pieces `wanted`, of data or parity, from any k others. Raises Invalid with fewer."""
        found = {number: bytes(pieces[number]) for number in wanted if number in pieces}
        lost = tuple(sorted(number for number in {*wanted} if number not in pieces))
        if not lost:
            return found
        have = tuple(sorted(pieces))[: self.k]
        if len(have) < self.k:
            raise Invalid(f"{len(have)} pieces of {self.k} are there.", code="codes.too_few")
        plans = self._decoder(have, lost)
        made = _combine(plans, [pieces[number] for number in have])
        return found | dict(zip(lost, made, strict=True))

    def delta(self, number: int, change: Data) -> list[bytes]:
        """What is to be added (xor) to each parity when `change` is added to a piece of data."""
        plans = [_plan([row[number]]) for row in self._rows]
        return _combine(plans, [change])

    def _decoder(self, have: tuple[int, ...], lost: tuple[int, ...]) -> list["_Plan"]:
        known = self._decoders.get((have, lost))
        if known is None:
            back = inverted([self._row(number) for number in have])
            rows = product([self._row(number) for number in lost], back)
            if len(self._decoders) >= 512:
                self._decoders.clear()
            known = self._decoders[have, lost] = [_plan(row) for row in rows]
        return known

    def _row(self, number: int) -> list[int]:
        if number >= self.k:
            return self._rows[number - self.k]
        return [int(column == number) for column in range(self.k)]


_Plan: TypeAlias = list[list[int]]  # the inputs to be added at each bit, the highest first


def add(a: Data, b: Data) -> bytes:
    """The sum (xor) of two blocks of one length."""
    return np.bitwise_xor(np.frombuffer(a, np.uint8), np.frombuffer(b, np.uint8)).tobytes()


def _plan(row: Sequence[int]) -> _Plan:
    top = max(row).bit_length()
    bits = range(top - 1, -1, -1)
    return [[at for at, value in enumerate(row) if value >> bit & 1] for bit in bits]


def _combine(plans: Sequence[_Plan], blocks: Sequence[Data]) -> list[bytes]:
    inputs = [np.frombuffer(block, np.uint8) for block in blocks]
    length = len(inputs[0])
    assert all(len(block) == length for block in inputs)
    results = [np.zeros(length, np.uint8) for _ in plans]
    carry = np.empty(min(length, _PART), np.int8)
    for start in range(0, length, _PART):
        parts = [block[start : start + _PART] for block in inputs]
        for plan, result in zip(plans, results, strict=True):
            out = result[start : start + _PART]
            _sum(plan, parts, out, carry[: len(out)])
    return [result.tobytes() for result in results]


def _sum(plan: _Plan, parts: Sequence[_Array], out: _Array, carry: Any) -> None:
    for number, adding in enumerate(plan):
        if number:  # double: shift each byte, and reduce those that had their highest bit set
            np.right_shift(out.view(np.int8), _SEVEN, out=carry)
            np.bitwise_and(carry, _TAIL, out=carry)
            np.add(out, out, out=out)
            np.bitwise_xor(out, carry.view(np.uint8), out=out)
        for at in adding:
            np.bitwise_xor(out, parts[at], out=out)
