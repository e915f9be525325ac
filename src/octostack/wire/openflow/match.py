# SPDX-License-Identifier: Apache-2.0
"""Matches: which packets a flow is for.

A match is a tuple of terms (field name, value, mask or None) in the order of the field table,
masked bits cleared, so that equal matches are equal tuples and can be keys.
"""

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from octostack.base.errors import Invalid
from octostack.wire.openflow import fields

Term: TypeAlias = tuple[str, int, int | None]
Match: TypeAlias = tuple[Term, ...]
Value: TypeAlias = int | tuple[int, int]

OXM_MATCH: Final = 1  # ofp_match type
_ORDER: Final = {name: field.order for name, field in fields.FIELDS.items()}
_HEADER: Final = {name: field.match_header for name, field in fields.FIELDS.items()}
_MASK_BIT: Final = 0x100


def match(**terms: Value) -> Match:
    """A match out of ``field=value`` and ``field=(value, mask)``. Raises Invalid."""
    return build(terms)


def build(terms: Mapping[str, Value]) -> Match:
    """A match out of a mapping; terms with an all-zero mask say nothing and are left out."""
    out: list[Term] = []
    for name, value in terms.items():
        if isinstance(value, tuple):
            number, mask = value
            if not mask:
                continue
            full = (1 << fields.get(name).bits) - 1
            out.append((name, number & mask, None if mask == full else mask))
        else:
            out.append((name, value, None))
    try:
        out.sort(key=_by_order)
    except KeyError as e:
        raise Invalid(f"no field {e.args[0]}", code="openflow.field") from None
    return tuple(out)


def _by_order(term: Term) -> int:
    return _ORDER[term[0]]


def encode_term(term: Term) -> bytes:
    """One OXM with its header."""
    name, value, mask = term
    header = _HEADER[name]
    size = header & 0xFF
    if mask is None:
        return header.to_bytes(4, "big") + value.to_bytes(size, "big")
    # the length of a masked field covers value and mask
    word = (header & ~0xFF) | _MASK_BIT | size * 2
    return word.to_bytes(4, "big") + value.to_bytes(size, "big") + mask.to_bytes(size, "big")


_term = lru_cache(maxsize=1 << 16)(encode_term)


def encode(terms: Match) -> bytes:
    """An ofp_match, padded to eight bytes. Raises Invalid when a value does not fit its field."""
    try:
        body = b"".join([_term(term) for term in terms])
    except (OverflowError, KeyError) as e:
        raise Invalid(f"cannot encode match {terms}: {e}", code="openflow.match") from e
    length = 4 + len(body)
    return struct.pack("!HH", OXM_MATCH, length) + body + bytes(-length % 8)


def decode(data: bytes, offset: int = 0) -> tuple[Match, int]:
    """The match at `offset` and the offset behind its padding. Raises Invalid."""
    if len(data) - offset < 4:
        raise Invalid("truncated match", code="openflow.match")
    kind, length = struct.unpack_from("!HH", data, offset)
    end = offset + length
    if kind != OXM_MATCH or length < 4 or end > len(data):
        raise Invalid("malformed match", code="openflow.match")
    return _decode_body(bytes(data[offset + 4 : end])), end + (-length % 8)


@lru_cache(maxsize=1 << 15)
def _decode_body(body: bytes) -> Match:
    terms: list[Term] = []
    at = 0
    while at < len(body):
        term, at = decode_term(body, at)
        terms.append(term)
    terms.sort(key=_by_order)
    return tuple(terms)


def decode_term(body: bytes, at: int) -> tuple[Term, int]:
    """One OXM and the offset behind it. Raises Invalid."""
    if len(body) - at < 4:
        raise Invalid("truncated match field", code="openflow.match")
    word = int.from_bytes(body[at : at + 4], "big")
    masked = bool(word & _MASK_BIT)
    size = word & 0xFF
    if len(body) - at - 4 < size or (masked and size % 2):
        raise Invalid("truncated match field", code="openflow.match")
    width = size // 2 if masked else size
    field = fields.by_header((word & ~0x1FF) | width)
    at += 4
    value = int.from_bytes(body[at : at + width], "big")
    if not masked:
        return (field.name, value, None), at + size
    mask = int.from_bytes(body[at + width : at + size], "big")
    full = (1 << field.bits) - 1
    return (field.name, value & mask, None if mask == full else mask), at + size
