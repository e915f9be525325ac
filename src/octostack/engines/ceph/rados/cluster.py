# SPDX-License-Identifier: Apache-2.0
"""A cluster as its clients see it: connect, open pools, ask and tell.

::

    async with Cluster(files.load("/etc/ceph/ceph.conf")) as cluster:
        pool = await cluster.open_pool("data")
        await pool.write_full("greeting", b"hello")
"""

import asyncio
import errno
import struct
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from octostack.base.errors import NotFound, Timeout
from octostack.engines.ceph.rados import files
from octostack.engines.ceph.rados.auth import Credentials
from octostack.engines.ceph.rados.commands import Answer, Commands, judged, words
from octostack.engines.ceph.rados.core import monhosts
from octostack.engines.ceph.rados.core.config import Settings
from octostack.engines.ceph.rados.core.failures import error_of
from octostack.engines.ceph.rados.monitors import Monitors
from octostack.engines.ceph.rados.objecter import Objecter
from octostack.engines.ceph.rados.pool import Pool
from octostack.engines.ceph.rados.watches import Watches
from octostack.runtime.msgr.carrier import Carriers, SocketCarriers
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger
from octostack.runtime.msgr.messenger import Settings as MessengerSettings
from octostack.runtime.tasks import ALWAYS, Supervisor
from octostack.wire.ceph.addresses import Address, AddressKind, EntityName, EntityType
from octostack.wire.ceph.auth_none import NoneServer
from octostack.wire.ceph.codec import Reader
from octostack.wire.ceph.link import Envelope
from octostack.wire.ceph.maps.osdmap import OSDMap
from octostack.wire.ceph.maps.pool import PoolSnap
from octostack.wire.ceph.messages import client, monitor
from octostack.wire.ceph.messages.monitor import PoolOpCode
from octostack.wire.ceph.objects import PG

_SNAP = struct.Struct("<Q")


class ClusterStat(msgspec.Struct, frozen=True):
    """Space in all, in KiB, and how many objects there are."""

    kb: int
    kb_used: int
    kb_avail: int
    objects: int


class PoolStat(msgspec.Struct, frozen=True):
    """What a pool holds, as its OSDs reported it last."""

    bytes: int
    objects: int
    clones: int
    copies: int
    degraded: int
    reads: int
    read_kb: int
    writes: int
    write_kb: int


class Cluster:
    """See the module's essay. `carriers` is how connections are made; the machine's own sockets."""

    def __init__(self, settings: Settings | None = None, carriers: Carriers | None = None) -> None:
        self.settings = settings or files.load()
        credentials = Credentials(self.settings, files.find_key(self.settings))
        self._credentials = credentials
        self.objecter = Objecter(self.settings, self._want_osdmap)
        self.commands = Commands(self.objecter, lambda: self.fsid)
        places = monhosts.parse(self.settings.text("mon_host"))
        places = places or monhosts.of_sections(self.settings.file)
        if not places:
            raise NotFound("No mon_host is configured.", code="rados.no_mon_host")
        self.monitors = Monitors(self.settings, places, credentials, self)
        self._tasks = Supervisor(self.settings.entity)
        self.watches = Watches(self.objecter, self._tasks)
        self._messenger = Messenger(
            MessengerSettings(
                EntityName(EntityType.CLIENT, -1),
                lambda: NoneServer(lambda: 0),  # nobody connects to us
                credentials.client,
            ),
            carriers or SocketCarriers(),
            self,
        )

    async def __aenter__(self) -> "Cluster":
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """Find a monitor, be let in, have the maps. Raises Unauthorized, Timeout."""
        self.objecter.start(self._messenger)
        self.commands.start(self._messenger)
        self.monitors.start(self._messenger, self._tasks)
        self._tasks.start("tick", self._tick, ALWAYS)
        try:
            async with asyncio.timeout(self.settings.seconds("client_mount_timeout") or None):
                await self.monitors.wait_ready()
                await self.objecter.wait_epoch(1)
        except TimeoutError as error:
            await self.close()
            raise Timeout("No monitor lets us in.", code="rados.etimedout") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End all sessions; what is still awaited fails."""
        self.objecter.stop()
        self.commands.stop()
        await self._tasks.stop()
        await self._messenger.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.settings.seconds("objecter_tick_interval"))
            self.objecter.tick()
            self.commands.tick()

    # A listener to monitors, and a messenger's dispatcher

    @property
    def epoch(self) -> int:
        """Of the newest OSD map."""
        return self.objecter.epoch

    def osdmaps(self, message: client.OSDMapMessage) -> None:
        """Newer OSD maps."""
        self.monitors.osdmap_came()
        self.objecter.osdmaps(message)

    def mgrmap(self, message: monitor.MgrMapMessage) -> None:
        """A newer map of managers."""
        self.commands.mgrmap(message)

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """A message of any peer."""
        if envelope.data:
            self._messenger.done(len(envelope.data))
        if conn.peer_type == EntityType.OSD:
            self.objecter.message(conn, envelope)
        elif conn.peer_type == EntityType.MON:
            self.monitors.message(conn, envelope)
        else:
            self.commands.message(conn, envelope)

    def opened(self, conn: Connection) -> None:
        """A session begins."""
        if conn.peer_type == EntityType.OSD:
            self.objecter.opened(conn)
        elif conn.peer_type == EntityType.MON:
            self._know_address(conn)
            self.monitors.opened(conn)

    def closed(self, conn: Connection) -> None:
        """A session ended."""
        if conn.peer_type == EntityType.OSD:
            self.objecter.closed(conn)
        elif conn.peer_type == EntityType.MON:
            self.monitors.closed(conn)
        else:
            self.commands.closed(conn)

    def _know_address(self, conn: Connection) -> None:
        """All sessions say the same address: a blocklist entry and a watch name us by it."""
        if conn.session is not None and not self._messenger.addresses:
            self._messenger.addresses = conn.session.mine

    def _want_osdmap(self) -> None:
        self.monitors.want_osdmap()

    # What the cluster is

    @property
    def fsid(self) -> uuid.UUID:
        """The cluster's id."""
        return self.monitors.monmap.fsid

    @property
    def osdmap(self) -> OSDMap:
        """The newest map that has come."""
        return self.objecter.osdmap

    @property
    def global_id(self) -> int:
        """The number that the monitors gave us: we are ``client.NUMBER``."""
        return self._credentials.global_id

    @property
    def address(self) -> Address:
        """What OSDs know us by."""
        return self._messenger.addresses[0] if self._messenger.addresses else Address()

    async def wait_for_latest_osdmap(self) -> int:
        """The epoch the monitors have now, once we have it too."""
        newest = await self.monitors.newest("osdmap")
        await self.objecter.wait_epoch(newest)
        return newest

    async def stat(self) -> ClusterStat:
        """Space and objects."""
        reply = await self.monitors.ask(lambda: monitor.Statfs(self.fsid), monitor.StatfsReply)
        return ClusterStat(reply.kb, reply.kb_used, reply.kb_avail, reply.objects)

    # Pools

    def list_pools(self) -> list[str]:
        """Names, in the order of their numbers."""
        names = self.osdmap.pool_names
        return [names[number] for number in sorted(names)]

    async def find_pool(self, name: str) -> Pool | None:
        """A pool; the monitors are asked before it is taken for missing."""
        found = self._known_pool(name)
        if found is None:
            await self.wait_for_latest_osdmap()
            found = self._known_pool(name)
        return found

    async def open_pool(self, name: str) -> Pool:
        """A pool. Raises NotFound."""
        found = await self.find_pool(name)
        if found is None:
            raise error_of(-errno.ENOENT, f"pool {name}")
        return found

    def _known_pool(self, name: str) -> Pool | None:
        names = self.osdmap.pool_names
        return next((Pool(self, n, name) for n, known in names.items() if known == name), None)

    async def create_pool(self, name: str, crush_rule: int = -1) -> Pool:
        """A new pool, as the monitors are configured to make them. Raises Conflict."""
        # a monitor says yes to what is there already: it may be asked twice
        if await self.find_pool(name) is not None:
            raise error_of(-errno.EEXIST, f"pool {name}")
        await self._pool_op(0, PoolOpCode.CREATE, name, crush_rule=crush_rule)
        return await self.open_pool(name)

    async def delete_pool(self, name: str) -> None:
        """Remove a pool with all it holds. Raises NotFound, and Forbidden where that is set."""
        pool = await self.open_pool(name)
        # not its name: a pool of the name given here is taken for a newer one, and nothing is done
        await self._pool_op(pool.id, PoolOpCode.DELETE, "delete")

    async def pool_stat(self, *names: str) -> dict[str, PoolStat]:
        """What pools hold."""
        reply = await self.monitors.ask(
            lambda: monitor.GetPoolStats(self.fsid, names), monitor.GetPoolStatsReply
        )
        return {name: _read_pool_stat(blob) for name, blob in reply.stats.items()}

    async def create_snap(self, pool: Pool, name: str) -> int:
        """A snapshot of the whole pool; its id. Raises Conflict."""
        if self._find_snap(pool, name) is not None:
            raise error_of(-errno.EEXIST, f"snapshot {name} of pool {pool.name}")
        await self._pool_op(pool.id, PoolOpCode.CREATE_SNAP, name)
        return self.get_snap(pool, name).id

    async def remove_snap(self, pool: Pool, name: str) -> None:
        """Raises NotFound."""
        self.get_snap(pool, name)
        await self._pool_op(pool.id, PoolOpCode.DELETE_SNAP, name)

    def get_snap(self, pool: Pool, name: str) -> PoolSnap:
        """A snapshot of a pool by its name. Raises NotFound."""
        found = self._find_snap(pool, name)
        if found is None:
            raise error_of(-errno.ENOENT, f"snapshot {name} of pool {pool.name}")
        return found

    @staticmethod
    def _find_snap(pool: Pool, name: str) -> PoolSnap | None:
        return next((s for s in pool.info.snaps.values() if s.name == name), None)

    async def create_own_snap(self, pool: Pool) -> int:
        """The id of a new self-managed snapshot; it counts for writes whose context has it."""
        data = await self._pool_op(pool.id, PoolOpCode.CREATE_OWN_SNAP)
        number: int = _SNAP.unpack_from(data)[0]
        return number

    async def remove_own_snap(self, pool: Pool, snap: int) -> None:
        """Let the OSDs trim what only this snapshot keeps."""
        await self._pool_op(pool.id, PoolOpCode.DELETE_OWN_SNAP, snap=snap)

    async def _pool_op(
        self, pool: int, op: int, name: str = "", *, snap: int = 0, crush_rule: int = 0
    ) -> bytes:
        def make() -> monitor.PoolOp:
            return monitor.PoolOp(self.fsid, pool, op, snap, name, crush_rule, self.epoch)

        reply = await self.monitors.ask(make, monitor.PoolOpReply)
        if reply.result < 0:
            raise error_of(reply.result, name or f"pool {pool}")
        await self.objecter.wait_epoch(reply.epoch)
        return reply.output or b""

    # Commands

    async def mon_command(self, command: str | Mapping[str, Any], data: bytes = b"") -> Answer:
        """A command to the monitors. Raises what their result is, with their status text."""
        text = words(command)
        ack = await self.monitors.ask(
            lambda: monitor.MonCommand(text, fsid=self.fsid, data=data), monitor.MonCommandAck
        )
        return judged(ack.result, ack.status, ack.data, text)

    async def mgr_command(self, command: str | Mapping[str, Any], data: bytes = b"") -> Answer:
        """A command to the active manager. Raises NotFound when there is none."""
        return await self.commands.to_manager(command, data)

    async def osd_command(
        self, osd: int, command: str | Mapping[str, Any], data: bytes = b""
    ) -> Answer:
        """A command to one OSD."""
        return await self.commands.to_osd(osd, command, data)

    async def pg_command(
        self, pg: PG, command: str | Mapping[str, Any], data: bytes = b""
    ) -> Answer:
        """A command to the primary of a placement group."""
        return await self.commands.to_group(pg, command, data)

    async def blocklist_add(self, address: Address, expire_s: float = 3600.0) -> None:
        """Shut a client out of all OSDs, as it goes by `Cluster.address`."""
        where = f"{address.place}/{address.nonce}"
        if address.kind == AddressKind.MSGR2:
            where = f"v2:{where}"
        command = {"prefix": "osd blocklist", "blocklistop": "add", "addr": where}
        await self.mon_command({**command, "expire": float(expire_s)})
        await self.wait_for_latest_osdmap()


def _read_pool_stat(blob: bytes) -> PoolStat:
    """pool_stat_t: the sums at its beginning."""
    r = Reader(blob)
    with r.versioned(), r.versioned(), r.versioned():
        n = [r.s64() for _ in range(11)]
    return PoolStat(n[0], n[1], n[2], n[3], n[5], n[7], n[8], n[9], n[10])
