# SPDX-License-Identifier: Apache-2.0
"""Who is asked whether it lives, and who has not answered for too long.

Others are asked over two links, as the network of clients and that between OSDs may fail alone. One
is silent since the oldest question on either link that has no answer: so whoever did not ask, as it
stood still itself, suspects nobody.
"""

from collections.abc import Iterable

import msgspec

PEERS_MIN = 10  # that are asked, where there are so many
SIDES = 2


class _Peer(msgspec.Struct):
    asked: tuple[list[float], ...]  # by side: when, of what has no answer; oldest first


class Heartbeats:
    """See the module's essay; times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._peers: dict[int, _Peer] = {}

    @property
    def peers(self) -> list[int]:
        """Who is asked."""
        return list(self._peers)

    def follow(self, peers: Iterable[int]) -> None:
        """Who is to be asked from now on."""
        wanted = set(peers)
        for osd in self._peers.keys() - wanted:
            del self._peers[osd]
        for osd in wanted - self._peers.keys():
            self._peers[osd] = _Peer(tuple([] for _ in range(SIDES)))

    def forget(self, osd: int) -> None:
        """Another process of it is there: what the old one was asked means nothing."""
        self._peers.pop(osd, None)

    def ask(self, osd: int, now: float) -> None:
        """It is asked now, on all links."""
        for asked in self._peers[osd].asked:
            asked.append(now)

    def hear(self, osd: int, side: int, asked_at: float) -> None:
        """It answers what it was asked then."""
        peer = self._peers.get(osd)
        if peer is not None:
            asked = peer.asked[side]
            asked[:] = [at for at in asked if at > asked_at]

    def list_silent(self, now: float, grace_s: float) -> dict[int, float]:
        """Who has not answered for longer than that, and for how long."""
        found = {}
        for osd, peer in self._peers.items():
            oldest = min((asked[0] for asked in peer.asked if asked), default=now)
            if now - oldest > grace_s:
                found[osd] = now - oldest
        return found


def choose_peers(me: int, alive: Iterable[int], partners: Iterable[int]) -> set[int]:
    """Those with whom we share groups, and others that follow us in number, until enough are."""
    there = sorted(set(alive) - {me})
    found = set(partners) & set(there)
    behind = [osd for osd in there if osd > me] + [osd for osd in there if osd < me]
    for osd in behind:
        if len(found) >= PEERS_MIN:
            break
        found.add(osd)
    return found
