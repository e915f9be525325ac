# SPDX-License-Identifier: Apache-2.0
"""Maps of a real cluster, read and written again byte by byte: tests/vectors/ceph/README.md."""

import struct
from pathlib import Path

import msgspec
import pytest

from octostack.engines.ceph.core.osdmap import change, diff
from octostack.testing import osd_maps
from octostack.wire.ceph.addresses import Address, AddressKind
from octostack.wire.ceph.checksum import crc32c
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.maps import monmap as mon_wire
from octostack.wire.ceph.maps import osdmap as wire
from octostack.wire.ceph.maps.osdmap import Incremental, OSDMap
from octostack.wire.ceph.maps.pool import Pool

VECTORS = Path(__file__).parents[2] / "vectors" / "ceph" / "maps"


def _history() -> list[bytes]:
    data = (VECTORS / "osdmap-history.bin").read_bytes()
    blobs, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        blobs.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return blobs


HISTORY = _history()


def test_every_change_of_a_real_cluster_is_written_as_it_was_read() -> None:
    assert len(HISTORY) == 105
    for blob in HISTORY:
        assert wire.encode_incremental(wire.decode_incremental(blob)) == blob


@pytest.mark.parametrize("epoch", [50, 105])
def test_a_whole_map_is_written_as_it_was_read(epoch: int) -> None:
    blob = (VECTORS / f"osdmap-{epoch}.bin").read_bytes()
    osdmap = wire.decode(blob)
    assert osdmap.epoch == epoch
    assert wire.encode(osdmap) == blob


def test_changes_one_by_one_lead_to_the_real_maps() -> None:
    osdmap = OSDMap()
    for blob in HISTORY:
        step = wire.decode_incremental(blob)
        osdmap = change.apply(osdmap, step)
        whole = wire.encode(osdmap)
        assert wire.checksum(whole) == step.full_crc, f"epoch {step.epoch}"
        if step.epoch in (50, 105):
            assert whole == (VECTORS / f"osdmap-{step.epoch}.bin").read_bytes()


def test_the_difference_of_two_maps_leads_from_one_to_the_other() -> None:
    osdmap = change.apply(OSDMap(), wire.decode_incremental(HISTORY[0]))
    for blob in HISTORY[1:]:
        following = change.apply(osdmap, wire.decode_incremental(blob))
        found = diff.diff(osdmap, following)
        again, sealed, whole = diff.seal(osdmap, found)
        assert whole == wire.encode(following), f"epoch {following.epoch}"
        assert again == following
        assert sealed.full_crc == wire.checksum(whole)
        assert wire.decode_incremental(wire.encode_incremental(sealed)) == sealed
        osdmap = following


def test_the_monitors_map_is_written_as_it_was_read() -> None:
    blob = (VECTORS / "monmap.bin").read_bytes()
    monmap = mon_wire.decode(blob)
    assert monmap.ranks == ("a",)
    assert monmap.find_rank("a") == 0
    assert mon_wire.encode(monmap) == blob


@pytest.mark.parametrize("seed", range(8))
def test_any_map_is_read_as_it_was_written(seed: int) -> None:
    osdmap = osd_maps.random_osdmap(seed)
    blob = wire.encode(osdmap)
    assert wire.encode(wire.decode(blob)) == blob


def test_what_is_newer_is_skipped() -> None:
    # one byte more in the OSD part, as release 18 has it
    blob = bytearray((VECTORS / "osdmap-50.bin").read_bytes())
    client = struct.unpack_from("<I", blob, 8)[0]
    at = 6 + 6 + client
    assert blob[at : at + 2] == b"\x09\x01"
    size = struct.unpack_from("<I", blob, at + 2)[0]
    struct.pack_into("<I", blob, at + 2, size + 1)
    blob[at + 6 + size : at + 6 + size] = b"\x01"
    struct.pack_into("<I", blob, 2, len(blob) - 6)
    with pytest.raises(Malformed, match="checksum"):
        wire.decode(bytes(blob))
    fixed = crc32c(bytes(blob[:-4]))
    newer = wire.decode(bytes(blob[:-4]) + fixed.to_bytes(4, "little"))
    assert newer == wire.decode((VECTORS / "osdmap-50.bin").read_bytes())


def test_a_broken_map_is_refused_and_nothing_else_happens() -> None:
    blob = (VECTORS / "osdmap-50.bin").read_bytes()
    for at in range(0, len(blob), 13):
        broken = bytearray(blob)
        broken[at] ^= 0xA5
        with pytest.raises(Malformed):
            wire.decode(bytes(broken))
    for size in range(0, len(blob), 37):
        with pytest.raises(Malformed):
            wire.decode(blob[:size])


def test_snapshots_wait_until_they_are_purged() -> None:
    pools = {1: Pool(pg_num=8, pgp_num=8)}
    osdmap = osd_maps.cluster(osd_maps.crush_maps.wide_map(2, 1, 1), pools)

    def step(**values: object) -> OSDMap:
        made = Incremental(fsid=osdmap.fsid, epoch=osdmap.epoch + 1, **values)  # type: ignore[arg-type]
        return change.apply(osdmap, made)

    osdmap = step(new_removed_snaps={1: {3: 1}})
    osdmap = step(new_removed_snaps={1: {4: 2, 9: 1}})
    assert osdmap.removed_snaps_queue == {1: {3: 3, 9: 1}}
    osdmap = step(new_purged_snaps={1: {4: 1}})
    assert osdmap.removed_snaps_queue == {1: {3: 1, 5: 1, 9: 1}}
    osdmap = step(new_purged_snaps={1: {3: 1, 5: 1, 9: 1}})
    assert osdmap.removed_snaps_queue == {}
    assert osdmap.new_removed_snaps == {}


def test_addresses_lie_in_the_order_of_their_bytes() -> None:
    """Ceph compares nonces as they lie in memory: 256 comes before 1."""
    first = Address(AddressKind.ANY, "10.0.0.9", 0, 256)
    second = Address(AddressKind.ANY, "10.0.0.1", 0, 1)
    osdmap = msgspec.structs.replace(
        wire.decode((VECTORS / "osdmap-50.bin").read_bytes()), blocklist={second: 1, first: 2}
    )
    assert list(wire.decode(wire.encode(osdmap)).blocklist) == [first, second]
