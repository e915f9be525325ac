# SPDX-License-Identifier: Apache-2.0
"""The fields of a packet that a flow can match or set.

A field has up to two headers: OXM (OpenFlow's own, class 0x8000) and NXM (Nicira's). Open vSwitch
answers in OXM for matches and set_field where there is one, and in NXM within its own actions
(move, load, ct, output:reg); we write the same, so that what is read back compares equal.
Values are integers of any width; `kind` only says how people read them.
"""

from typing import Final

import msgspec

from octostack.base.errors import Invalid

OXM_CLASS: Final = 0x8000
NXM_OF: Final = 0x0000
NXM_NX: Final = 0x0001


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field; `order` is its place in an encoded match (prerequisites come first)."""

    name: str
    order: int
    size_bytes: int
    bits: int
    oxm: int | None  # header without the mask bit, None where there is none
    nxm: int | None
    nxm_size_bytes: int
    kind: str  # int | hex | mac | ip4 | ip6

    @property
    def match_header(self) -> int:
        """The header in matches and set_field."""
        return self.oxm if self.oxm is not None else self.nxm or 0

    @property
    def action_header(self) -> int:
        """The header within Nicira actions."""
        return self.nxm if self.nxm is not None else self.oxm or 0


# name, size, bits, oxm field, (nxm class, field, size), kind
_TABLE: Final[tuple[tuple[str, int, int, int | None, tuple[int, int, int] | None, str], ...]] = (
    ("in_port", 4, 32, 0, (NXM_OF, 0, 2), "int"),
    ("metadata", 8, 64, 2, None, "hex"),
    ("tunnel_id", 8, 64, 38, (NXM_NX, 16, 8), "int"),
    ("tun_src", 4, 32, None, (NXM_NX, 31, 4), "ip4"),
    ("tun_dst", 4, 32, None, (NXM_NX, 32, 4), "ip4"),
    *((f"reg{i}", 4, 32, None, (NXM_NX, i, 4), "int") for i in range(16)),
    ("pkt_mark", 4, 32, None, (NXM_NX, 33, 4), "int"),
    ("ct_state", 4, 32, None, (NXM_NX, 105, 4), "hex"),
    ("ct_zone", 2, 16, None, (NXM_NX, 106, 2), "int"),
    ("ct_mark", 4, 32, None, (NXM_NX, 107, 4), "int"),
    ("ct_label", 16, 128, None, (NXM_NX, 108, 16), "hex"),
    ("conj_id", 4, 32, None, (NXM_NX, 37, 4), "int"),
    ("eth_dst", 6, 48, 3, (NXM_OF, 1, 6), "mac"),
    ("eth_src", 6, 48, 4, (NXM_OF, 2, 6), "mac"),
    ("eth_type", 2, 16, 5, (NXM_OF, 3, 2), "hex"),
    ("vlan_vid", 2, 13, 6, None, "int"),
    ("vlan_pcp", 1, 3, 7, None, "int"),
    ("vlan_tci", 2, 16, None, (NXM_OF, 4, 2), "hex"),
    ("ip_dscp", 1, 6, 8, None, "int"),
    ("ip_ecn", 1, 2, 9, (NXM_NX, 28, 1), "int"),
    ("ip_proto", 1, 8, 10, (NXM_OF, 6, 1), "int"),
    ("ip_ttl", 1, 8, None, (NXM_NX, 29, 1), "int"),
    ("ip_frag", 1, 2, None, (NXM_NX, 26, 1), "int"),
    ("ip_src", 4, 32, 11, (NXM_OF, 7, 4), "ip4"),
    ("ip_dst", 4, 32, 12, (NXM_OF, 8, 4), "ip4"),
    ("ct_nw_proto", 1, 8, None, (NXM_NX, 119, 1), "int"),
    ("ct_nw_src", 4, 32, None, (NXM_NX, 120, 4), "ip4"),
    ("ct_nw_dst", 4, 32, None, (NXM_NX, 121, 4), "ip4"),
    ("ct_tp_src", 2, 16, None, (NXM_NX, 124, 2), "int"),
    ("ct_tp_dst", 2, 16, None, (NXM_NX, 125, 2), "int"),
    ("tcp_src", 2, 16, 13, (NXM_OF, 9, 2), "int"),
    ("tcp_dst", 2, 16, 14, (NXM_OF, 10, 2), "int"),
    ("tcp_flags", 2, 12, 42, (NXM_NX, 34, 2), "hex"),
    ("udp_src", 2, 16, 15, (NXM_OF, 11, 2), "int"),
    ("udp_dst", 2, 16, 16, (NXM_OF, 12, 2), "int"),
    ("sctp_src", 2, 16, 17, None, "int"),
    ("sctp_dst", 2, 16, 18, None, "int"),
    ("icmp_type", 1, 8, 19, (NXM_OF, 13, 1), "int"),
    ("icmp_code", 1, 8, 20, (NXM_OF, 14, 1), "int"),
    ("arp_op", 2, 16, 21, (NXM_OF, 15, 2), "int"),
    ("arp_spa", 4, 32, 22, (NXM_OF, 16, 4), "ip4"),
    ("arp_tpa", 4, 32, 23, (NXM_OF, 17, 4), "ip4"),
    ("arp_sha", 6, 48, 24, (NXM_NX, 17, 6), "mac"),
    ("arp_tha", 6, 48, 25, (NXM_NX, 18, 6), "mac"),
    ("ipv6_src", 16, 128, 26, (NXM_NX, 19, 16), "ip6"),
    ("ipv6_dst", 16, 128, 27, (NXM_NX, 20, 16), "ip6"),
    ("ct_ipv6_src", 16, 128, None, (NXM_NX, 122, 16), "ip6"),
    ("ct_ipv6_dst", 16, 128, None, (NXM_NX, 123, 16), "ip6"),
    ("icmpv6_type", 1, 8, 29, (NXM_NX, 21, 1), "int"),
    ("icmpv6_code", 1, 8, 30, (NXM_NX, 22, 1), "int"),
    ("nd_target", 16, 128, 31, (NXM_NX, 23, 16), "ip6"),
    ("nd_sll", 6, 48, 32, (NXM_NX, 24, 6), "mac"),
    ("nd_tll", 6, 48, 33, (NXM_NX, 25, 6), "mac"),
)


def _field(
    order: int, row: tuple[str, int, int, int | None, tuple[int, int, int] | None, str]
) -> Field:
    name, size, bits, oxm, nxm, kind = row
    return Field(
        name=name,
        order=order,
        size_bytes=size,
        bits=bits,
        oxm=None if oxm is None else OXM_CLASS << 16 | oxm << 9 | size,
        nxm=None if nxm is None else nxm[0] << 16 | nxm[1] << 9 | nxm[2],
        nxm_size_bytes=size if nxm is None else nxm[2],
        kind=kind,
    )


FIELDS: Final[dict[str, Field]] = {row[0]: _field(i, row) for i, row in enumerate(_TABLE)}
BY_HEADER: Final[dict[int, Field]] = {
    header: field
    for field in FIELDS.values()
    for header in (field.oxm, field.nxm)
    if header is not None
}


def get(name: str) -> Field:
    """The field of that name. Raises Invalid."""
    try:
        return FIELDS[name]
    except KeyError:
        raise Invalid(f"no field {name}", code="openflow.field", field=name) from None


def by_header(header: int) -> Field:
    """The field of an OXM or NXM header (without its mask bit). Raises Invalid."""
    try:
        return BY_HEADER[header]
    except KeyError:
        raise Invalid(f"unknown match field {header:#010x}", code="openflow.field") from None
