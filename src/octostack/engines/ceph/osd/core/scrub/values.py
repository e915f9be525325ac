# SPDX-License-Identifier: Apache-2.0
"""What a copy shows of its objects, and what a comparison found, in Ceph's words."""

from enum import StrEnum

import msgspec

from octostack.wire.ceph.objects import EVersion, HObject


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """An object as a copy has it. Digests are CRC-32C; None: not looked at, or not readable."""

    size: int = 0
    attrs: dict[bytes, bytes] = {}
    data_digest: int | None = None
    omap_digest: int | None = None
    unreadable: bool = False  # the disk gave other bytes than were written
    piece: bytes = b""  # of a shard, instead of `data_digest`: `codes.digest` of its bytes


class Flaw(StrEnum):
    """What may be wrong with one copy (of `shard_info_t`)."""

    MISSING = "missing"
    READ_ERROR = "read_error"
    INFO_MISSING = "info_missing"
    INFO_CORRUPTED = "info_corrupted"
    SNAPSET_CORRUPTED = "snapset_corrupted"
    SIZE_INFO = "obj_size_info_mismatch"  # it is not of the size that itself says
    SIZE_WRONG = "size_mismatch_info"  # nor of the one that the copy that counts says
    PIECE = "ec_hash_error"  # in an erasure-coded group: not what the other shards say


class Difference(StrEnum):
    """In what copies may differ (of `inconsistent_obj_t`)."""

    INFO = "object_info_inconsistency"
    DATA = "data_digest_mismatch"
    OMAP = "omap_digest_mismatch"
    SIZE = "size_mismatch"
    ATTR_VALUE = "attr_value_mismatch"
    ATTR_NAME = "attr_name_mismatch"
    SNAPSET = "snapset_inconsistency"


class CopyFinding(msgspec.Struct, frozen=True):
    """One copy: its own flaws, and how it differs from the one that counts."""

    seen: Seen | None
    flaws: frozenset[Flaw]
    differs: frozenset[Difference]

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong with it."""
        return not (self.flaws or self.differs)


class Finding(msgspec.Struct, frozen=True):
    """An object whose copies are not as they ought to be."""

    object: HObject
    version: EVersion  # that of the copy that counts
    copies: dict[int, CopyFinding]
    authority: int | None  # the copy that counts; None: none is fit

    @property
    def bad(self) -> list[int]:
        """The copies that are to be made anew."""
        return [osd for osd, copy in self.copies.items() if not copy.is_good]

    @property
    def differences(self) -> frozenset[Difference]:
        """Of all copies."""
        return frozenset().union(*(copy.differs for copy in self.copies.values()))

    @property
    def flaws(self) -> frozenset[Flaw]:
        """Of all copies."""
        return frozenset().union(*(copy.flaws for copy in self.copies.values()))


class Result(msgspec.Struct, frozen=True):
    """What a scrub of a whole group came to."""

    deep: bool
    repair: bool
    objects: int
    findings: list[Finding]
    mended: int = 0  # copies that are being made anew

    @property
    def errors(self) -> int:
        """Copies in disorder, and not about to be mended."""
        return sum(len(finding.bad) for finding in self.findings) - self.mended

    @property
    def shallow_errors(self) -> int:
        """Those that need no reading of data to be seen."""
        deep = self.deep_errors
        return sum(len(finding.bad) for finding in self.findings) - deep

    @property
    def deep_errors(self) -> int:
        """Those that only reading the data shows."""
        return sum(_is_deep(copy) for finding in self.findings for copy in finding.copies.values())


_DEEP = {Flaw.READ_ERROR, Flaw.PIECE}
_DEEP_DIFFERENCES = {Difference.DATA, Difference.OMAP}


def _is_deep(copy: CopyFinding) -> bool:
    rest = (copy.flaws - _DEEP, copy.differs - _DEEP_DIFFERENCES)
    return not copy.is_good and not any(rest)
