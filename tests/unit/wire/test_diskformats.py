# SPDX-License-Identifier: Apache-2.0
"""The inspector against images made by qemu-img, and against images that lie."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octostack.wire.diskformats import Facts, Inspector, inspect, refusal

MIB = 1 << 20
needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")


def streamed(data: bytes, step: int = 4096) -> Facts:
    inspector = Inspector()
    for at in range(0, len(data), step):
        inspector.feed(data[at : at + step])
    return inspector.finish()


def both(data: bytes) -> Facts:
    """Streamed in several ways and read at random, with one answer."""
    facts = streamed(data)
    assert streamed(data, 1 << 22) == facts
    assert streamed(data[: 1 << 20], 511).format == facts.format or facts.format == "vhd"
    assert inspect(lambda o, n: data[o : o + n], len(data)) == facts
    return facts


def make(tmp_path: Path, fmt: str, *options: str) -> bytes:
    path = tmp_path / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", fmt, *options, str(path), "10M"], check=True)
    return path.read_bytes()


def qcow2(**changes: int) -> bytes:
    """A minimal version 3 image of 1 GiB, with header fields replaced."""
    fields = {
        "version": 3, "backing_offset": 0, "backing_length": 0, "cluster_bits": 16,
        "size": 1 << 30, "crypt": 0, "l1_size": 2, "l1_offset": 3 << 16,
        "refcount_offset": 1 << 16, "refcount_clusters": 1, "snapshots": 0, "snapshots_offset": 0,
        "incompatible": 0, "compatible": 0, "autoclear": 0, "order": 4, "header_length": 104,
    } | changes  # fmt: skip
    head = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", *fields.values())
    return head.ljust(4 << 16, b"\0")


@needs_qemu_img
@pytest.mark.parametrize(
    ("fmt", "options", "name"),
    [
        ("qcow2", (), "qcow2"),
        ("qcow2", ("-o", "compat=0.10"), "qcow2"),
        ("qcow2", ("-o", "cluster_size=2M"), "qcow2"),
        ("qcow2", ("-o", "extended_l2=on"), "qcow2"),
        ("vmdk", (), "vmdk"),
        ("vmdk", ("-o", "subformat=streamOptimized"), "vmdk"),
        ("vdi", (), "vdi"),
        ("vpc", (), "vhd"),
        ("vpc", ("-o", "subformat=fixed"), "vhd"),
        ("vhdx", (), "vhdx"),
        ("raw", (), "raw"),
    ],
)
def test_what_qemu_img_makes(tmp_path: Path, fmt: str, options: tuple[str, ...], name: str) -> None:
    facts = both(make(tmp_path, fmt, *options))
    assert (facts.format, facts.flaw) == (name, None)
    if fmt == "vpc":  # rounded up to cylinders
        assert 10 * MIB <= facts.virtual_size_bytes < 11 * MIB
    else:
        assert facts.virtual_size_bytes == 10 * MIB
    assert refusal(facts, name) is None
    for other in {"raw", "qcow2", "vhd"} - {name}:
        assert refusal(facts, other) == f"content is {name}, not {other} as declared"


@needs_qemu_img
def test_backing_file_is_named_and_refused(tmp_path: Path) -> None:
    make(tmp_path, "raw")
    data = make(tmp_path, "qcow2", "-b", "/etc/passwd", "-F", "raw", "-u")
    facts = both(data)
    assert facts.backing_file == "/etc/passwd"
    assert refusal(facts, "qcow2") == "qcow2 image has a backing file"


@needs_qemu_img
def test_data_file_is_refused(tmp_path: Path) -> None:
    data = make(tmp_path, "qcow2", "-o", f"data_file={tmp_path / 'other'}")
    facts = both(data)
    assert facts.data_file == str(tmp_path / "other")
    assert refusal(facts, "qcow2") == "qcow2 image keeps its data in another file"


@needs_qemu_img
def test_flat_vmdk_is_refused(tmp_path: Path) -> None:
    data = make(tmp_path, "vmdk", "-o", "subformat=monolithicFlat")
    assert both(data).format == "vmdk"
    assert "not allowed" in (refusal(both(data), "vmdk") or "")


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"version": 4}, "version 4 is unknown"),
        ({"cluster_bits": 40}, "clusters of 2^40"),
        ({"size": 1 << 60}, "larger disk than its tables"),
        ({"l1_size": 1 << 30}, "L1 table is too large"),
        ({"l1_offset": 1 << 40}, "beyond the end"),
        ({"l1_offset": 3}, "cluster bounds"),
        ({"refcount_offset": 1 << 50}, "beyond the end"),
        ({"incompatible": 1 << 40}, "unknown features"),
        ({"incompatible": 2}, "marked corrupt"),
        ({"backing_offset": 1 << 30, "backing_length": 8}, "outside the header"),
        ({"backing_offset": 512, "backing_length": 1 << 20}, "outside the header"),
        ({"header_length": 8}, "header of 8 bytes"),
        ({"crypt": 9}, "encryption 9"),
    ],
)
def test_a_qcow2_that_lies(changes: dict[str, int], flaw: str) -> None:
    assert flaw in (both(qcow2(**changes)).flaw or "")


def test_an_honest_qcow2_of_the_same_make() -> None:
    assert refusal(both(qcow2()), "qcow2") is None


def test_a_qcow2_cut_short() -> None:
    assert "cut short" in (streamed(qcow2()[:60]).flaw or "")


def test_a_file_with_two_faces_is_refused() -> None:
    data = bytearray(qcow2())
    data[32768:32774] = b"\x01CD001"
    assert "several formats" in (refusal(both(bytes(data)), "qcow2") or "")


def test_iso_and_partitioned_disks_are_honest_raw_data() -> None:
    iso = bytearray(64 << 10)
    iso[32768:32774] = b"\x01CD001"
    iso[32768 + 80 : 32768 + 84] = struct.pack("<I", 32)
    iso[32768 + 128 : 32768 + 130] = struct.pack("<H", 2048)
    assert (both(bytes(iso)).format, refusal(both(bytes(iso)), "raw")) == ("iso", None)
    disk = bytearray(MIB)
    disk[446 + 4] = 0xEE
    disk[510:512] = b"\x55\xaa"
    assert both(bytes(disk)).partitions == "gpt"
    assert refusal(both(bytes(disk)), "raw") is None
    assert refusal(both(bytes(disk)), "gpt") is None


def test_nothing_at_all() -> None:
    assert Inspector().finish() == Facts(format="raw", virtual_size_bytes=0)


@settings(deadline=None)
@given(
    st.sampled_from(
        [b"QFI\xfb", b"KDMV", b"vhdxfile", b"conectix", b"QED\0", b"LUKS\xba\xbe", b""]
    ),
    st.binary(max_size=2000),
    st.integers(100, 5000),
)
def test_garbage_never_raises(magic: bytes, rest: bytes, step: int) -> None:
    data = (magic + rest).ljust(300 << 10 if len(rest) % 7 == 0 else 0, b"\xff")
    facts = streamed(data, step)
    assert facts.size_bytes == len(data)
    assert inspect(lambda o, n: data[o : o + n], len(data)).format == facts.format
