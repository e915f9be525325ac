# SPDX-License-Identifier: Apache-2.0
"""What is known of an image after inspection, and the rules for taking it."""

import msgspec

FORMATS = ("raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "gpt", "qed", "luks")

# Formats without a header of their own: their bytes are whatever the guest shall see.
_PLAIN = frozenset({"raw", "ami", "aki", "ari"})
# Layouts of a VMDK that hold all data in the one file, and name no other.
_VMDK_TYPES = frozenset({"monolithicsparse", "streamoptimized"})


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """An inspected image. `format` is "raw" for bytes that carry no known header.

    `also` lists further formats whose signatures are in the same bytes; `partitions` is "gpt" or
    "mbr". `backing_file` and `data_file` are other files the image would pull in: a path on our
    host, named by a stranger. `flaw` says in one sentence why the header cannot be trusted.
    """

    format: str
    virtual_size_bytes: int
    size_bytes: int = 0
    needs_bytes: int = 0  # a shorter file cannot hold the tables its header tells of
    also: tuple[str, ...] = ()
    partitions: str | None = None
    backing_file: str | None = None
    data_file: str | None = None
    encrypted: bool = False
    variant: str = ""  # VMDK createType, qcow2 version
    flaw: str | None = None


def refusal(facts: Facts, declared: str) -> str | None:
    """Why an image declared as `declared` must not be stored and run; None when it may."""
    return _unsafe(facts) or _mismatch(facts, declared)


def _unsafe(facts: Facts) -> str | None:
    if facts.flaw is not None:
        return facts.flaw
    if facts.backing_file is not None:
        return f"{facts.format} image has a backing file"
    if facts.data_file is not None:
        return f"{facts.format} image keeps its data in another file"
    if facts.format == "vmdk" and facts.variant.lower() not in _VMDK_TYPES:
        return f"vmdk of type {facts.variant!r} is not allowed"
    if facts.also:
        return f"content matches several formats: {', '.join((facts.format, *facts.also))}"
    return None


def _mismatch(facts: Facts, declared: str) -> str | None:
    if declared in _PLAIN:
        # A header that QEMU could probe in a "raw" disk is how backing files are smuggled in.
        # An ISO or a partitioned disk is honest raw data.
        fine = facts.format in ("raw", "iso")
    elif declared == "gpt":
        fine = facts.partitions is not None
    elif declared == "ploop":
        fine = True
    else:
        fine = facts.format == declared
    if fine:
        return None
    return f"content is {facts.format}, not {declared} as declared"
