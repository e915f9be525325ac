# SPDX-License-Identifier: Apache-2.0
"""An OSD's connection to the manager that is active, as the map of managers says."""

from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger
from octostack.wire.ceph.addresses import Addresses, EntityType, msgr2
from octostack.wire.ceph.link import Outgoing
from octostack.wire.ceph.maps import mgrmap


class Managers:
    """See the module's essay."""

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self._addresses: Addresses = ()
        self._conn: Connection | None = None

    def follow(self, blob: bytes) -> None:
        """The map of managers as it is now."""
        map_ = mgrmap.decode(blob)
        found = map_.addresses if map_.available else ()
        if found != self._addresses:
            self._addresses = found
            self._leave()

    def send(self, message: Outgoing) -> bool:
        """Whether there is a manager who hears it."""
        conn = self.find()
        if conn is None or not conn.is_open:
            return False
        conn.send(message)
        return True

    def find(self) -> Connection | None:
        """The connection; begun when there is none."""
        where = msgr2(self._addresses)
        if where is None:
            return None
        if self._conn is None or self._conn.is_closed:
            self._conn = self._messenger.connect(where, EntityType.MGR)
        return self._conn

    def is_this(self, conn: Connection) -> bool:
        """Whether the connection is the one to the manager."""
        return conn is self._conn

    def _leave(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()
