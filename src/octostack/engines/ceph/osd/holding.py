# SPDX-License-Identifier: Apache-2.0
"""How many bytes of clients' requests wait in each group: when it drops them, they are free."""

from collections.abc import Callable

import msgspec

from octostack.engines.ceph.osd.clients import ClientSession
from octostack.wire.ceph.objects import PG


class Held(msgspec.Struct):
    """What waits in a group."""

    bytes: int
    sessions: dict[ClientSession, None]  # in an order that a simulation can repeat


class Holding:
    """See the module's essay; `done` is told of bytes that wait no more."""

    def __init__(self, done: Callable[[int], None]) -> None:
        self._done = done
        self._held: dict[PG, Held] = {}  # another one once the group has dropped them

    def hold(self, pg: PG, size: int, session: ClientSession) -> Held:
        """`size` bytes of a client wait in the group; what to `release` when they do not."""
        held = self._held.get(pg)
        if held is None:
            held = self._held[pg] = Held(0, {})
        held.bytes += size
        held.sessions[session] = None
        return held

    def release(self, pg: PG, held: Held, size: int) -> None:
        """They wait no more; nothing when the group has dropped them since."""
        if size and self._held.get(pg) is held:
            held.bytes -= size
            self._done(size)

    def forget(self, session: ClientSession) -> None:
        """The client is gone."""
        for held in self._held.values():
            held.sessions.pop(session, None)

    def drop(self, pg: PG) -> list[ClientSession]:
        """The group has dropped all that waited; whose requests these may have been."""
        held = self._held.pop(pg, None)
        if held is None:
            return []
        self._done(held.bytes)
        return list(held.sessions)
