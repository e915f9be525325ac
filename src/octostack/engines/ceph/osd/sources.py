# SPDX-License-Identifier: Apache-2.0
"""Objects that live elsewhere, for copies of them here: read from their primaries as clients do.

It is a client of the cluster within an OSD: it goes by the OSD's own map and keys, follows groups
that move, and talks to this very OSD, too, over a connection. Loaded at the first copy.
"""

import errno
import struct
from collections.abc import Callable, Sequence

from octostack.base.errors import NotFound, OctoError
from octostack.engines.ceph.core.osdmap import pools
from octostack.engines.ceph.osd.access import Access
from octostack.engines.ceph.osd.ops.copying import Fetched, Gathering, Source
from octostack.engines.ceph.rados.core.config import Settings as Config
from octostack.engines.ceph.rados.core.failures import errno_of
from octostack.engines.ceph.rados.core.ops import FLAG_READ
from octostack.engines.ceph.rados.core.tracker import Op
from octostack.engines.ceph.rados.objecter import Objecter, Outcome
from octostack.runtime.msgr.carrier import Carriers
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger, Settings
from octostack.wire.ceph.addresses import EntityName, EntityType
from octostack.wire.ceph.checksum import Buffer
from octostack.wire.ceph.codec import Malformed, Writer
from octostack.wire.ceph.link import Envelope
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.messages.osdop import NO_PARAMETERS, RawOp, prepare
from octostack.wire.ceph.objects import write_locator
from octostack.wire.ceph.opcodes import Code

_FLAGS = FLAG_READ | 0x1 | 0x4 | 0x400000  # answer; we know of redirects
_VERSION = struct.Struct("<QQ12x")

Then = Callable[[Fetched], None]


class Sources:
    """See the module's essay. `osdmap`: the newest; `follow` is told of every later one."""

    def __init__(self, number: int, access: Access, carriers: Carriers, osdmap: OSDMap) -> None:
        self._objecter = Objecter(Config(f"osd.{number}"), lambda: None)
        self._messenger = Messenger(
            Settings(EntityName(EntityType.OSD, number), access.server, access.client),
            carriers,
            self,
        )
        self._objecter.start(self._messenger)
        self.follow([osdmap])

    def follow(self, osdmaps: Sequence[OSDMap]) -> None:
        """Newer maps, one after the other."""
        known = self._objecter.epoch
        new = [osdmap for osdmap in osdmaps if osdmap.epoch > known]
        if new:
            skipped = known > 0 and new[0].epoch > known + 1
            self._objecter.tracker.follow(new, skipped=skipped)

    def fetch(self, source: Source, then: Then) -> Callable[[], None]:
        """Read an object and tell; what is returned gives up."""
        fetching = _Fetching(self._objecter, source, then)
        fetching.go_on()
        return fetching.cancel

    def tick(self) -> None:
        """To be called every second or so."""
        self._objecter.tick()

    async def close(self) -> None:
        """Read nothing any more."""
        self._objecter.stop()
        await self._messenger.close()

    # A messenger's dispatcher

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """From an OSD."""
        self._messenger.done(len(envelope.data))
        self._objecter.message(conn, envelope)

    def opened(self, conn: Connection) -> None:
        """A session runs."""
        self._objecter.opened(conn)

    def closed(self, conn: Connection) -> None:
        """A session ended."""
        self._objecter.closed(conn)


class _Fetching:
    """One object on its way."""

    def __init__(self, objecter: Objecter, source: Source, then: Then) -> None:
        self._objecter = objecter
        self._source = source
        self._then = then
        self._gathering = Gathering()
        self._version = source.version
        self._op: Op | None = None

    def go_on(self) -> None:
        """Ask for the next piece; a clone does not change, and has a version of its own."""
        source, raw = self._source, []
        if self._version:
            raw.append(RawOp(Code.ASSERT_VER, 0, _VERSION.pack(0, self._version)))
        raw.append(RawOp(Code.COPY_GET, 0, NO_PARAMETERS, self._gathering.ask()))
        w = Writer()
        write_locator(w, source.locator)
        body, data = prepare(w.done(), source.name, raw, (source.snap, 0, ()))
        at = source.locator
        pool = self._objecter.osdmap.pools.get(at.pool)
        self._op = Op(
            pool=at.pool,
            hash=pools.object_hash(pool, source.name, at.key, at.namespace) if pool else 0,
            flags=_FLAGS,
            name=source.name,
            locator=at,
            snap=source.snap,
            body=body,
            data=data,
        )
        self._objecter.start_op(self._op, self._came)

    def cancel(self) -> None:
        """Tell nobody."""
        if self._op is not None:
            self._objecter.cancel(self._op)

    def _came(self, outcome: Outcome) -> None:
        if isinstance(outcome, NotFound):  # the pool
            self._then(Fetched(failure=errno.ENOENT))
        elif isinstance(outcome, OctoError):  # we are closing
            self._then(Fetched(failure=errno_of(outcome) or errno.EIO))
        elif outcome.result < 0:
            self._then(Fetched(failure=-outcome.result))
        else:
            self._take(outcome.ops[-1].payload, outcome.user_version)

    def _take(self, output: Buffer, version: int) -> None:
        try:
            fetched = self._gathering.take(output)
        except Malformed:
            fetched = Fetched(failure=errno.EIO)
        if fetched is not None:
            self._then(fetched)
            return
        self._version = self._version or version
        self.go_on()
