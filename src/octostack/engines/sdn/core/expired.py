# SPDX-License-Identifier: Apache-2.0
"""What a router says of a packet that had no hop left: ICMP time exceeded (RFC 792, RFC 1812)."""

from typing import Final

from octostack.engines.sdn.core.neighbours import Asker
from octostack.wire.packets import ethernet, ip

TIME_EXCEEDED: Final = 11
QUOTED_BYTES: Final = 28  # the header and the first eight bytes behind it
_ERRORS: Final = frozenset({3, 4, 5, 11, 12})
_CLASS_D: Final = 0xE0000000


def answer(frame: bytes, foot: Asker) -> bytes | None:
    """The frame that goes back, from a router's foot; None where none may. Raises Invalid."""
    came = ethernet.parse(frame)
    if came.ethertype != ethernet.IPV4 or came.src & ethernet.MULTICAST_BIT:
        return None
    packet = ip.parse(came.payload)
    # never about an error, nor to somebody who is many or nobody (RFC 1812 §4.3.2.7)
    if packet.protocol == ip.ICMP and packet.payload[:1] and packet.payload[0] in _ERRORS:
        return None
    if packet.src >= _CLASS_D or packet.dst >= _CLASS_D or not packet.src:
        return None
    told = ip.Icmp(TIME_EXCEEDED, 0, 0, came.payload[:QUOTED_BYTES])
    back = ip.Packet(foot.address, packet.src, ip.ICMP, ip.build_icmp(told))
    return ethernet.build(ethernet.Frame(came.src, foot.mac, ethernet.IPV4, ip.build(back)))
