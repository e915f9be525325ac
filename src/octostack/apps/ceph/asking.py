# SPDX-License-Identifier: Apache-2.0
"""Asking the monitors of a cluster, as its administrator."""

import asyncio
import errno
import uuid
from pathlib import Path
from typing import Any

import msgspec

from octostack.apps.ceph import founding
from octostack.apps.ceph.cluster import Cluster
from octostack.base.errors import OctoError, Timeout, Unavailable
from octostack.engines.ceph.mon.access import SENSES
from octostack.runtime.msgr.carrier import SocketCarriers
from octostack.runtime.msgr.connection import Connection
from octostack.runtime.msgr.messenger import Messenger, Settings
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import EntityName, EntityType
from octostack.wire.ceph.auth_none import NoneClient, NoneServer
from octostack.wire.ceph.cephx.client import MonClient, Wallet
from octostack.wire.ceph.link import ClientAuth, Envelope
from octostack.wire.ceph.messages.monitor import MonCommand, MonCommandAck

_PATIENCE_S = 3.0  # with one monitor, before the next is asked
_POLL_S = 0.01


class Asker:
    """One question at a time, to whichever monitor answers."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        self._fsid = uuid.UUID(cluster.fsid)
        self._key = founding.find_key(directory, cluster, "client.admin")
        self._monitors = list(founding.addresses(cluster).values())
        self._messenger = Messenger(
            Settings(EntityName(EntityType.CLIENT, -1), lambda: NoneServer(lambda: 0), self._auth),
            SocketCarriers(),
            self,
        )
        self._conn: Connection | None = None
        self._answer: asyncio.Future[MonCommandAck] | None = None

    async def ask(self, prefix: str) -> Any:
        """What the command shows as JSON. Raises Unavailable."""
        return msgspec.json.decode(await self.ask_bytes(prefix, format="json"))

    async def ask_bytes(self, prefix: str, **arguments: str) -> bytes:
        """What the command gives. Raises Unavailable."""
        words = msgspec.json.encode({"prefix": prefix, **arguments}).decode()
        question = messages.encode(MonCommand((words,), fsid=self._fsid), 1)
        for _ in range(2 * len(self._monitors)):
            if self._conn is None:
                self._conn = self._messenger.connect(self._monitors[0], EntityType.MON)
                self._monitors.append(self._monitors.pop(0))
            self._answer = asyncio.get_running_loop().create_future()
            self._conn.send(question)
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    answer = await self._answer
            except (TimeoutError, OctoError):
                self._hang_up()
                continue
            if answer.result not in {0, -errno.EAGAIN}:
                raise Unavailable(f"{prefix}: {answer.status}", code="ceph.asked")
            if answer.result == 0:
                return bytes(answer.data)
        raise Unavailable("No monitor answers.", code="ceph.no_monitor")

    async def close(self) -> None:
        """Ask no more."""
        await self._messenger.close()

    def message(self, conn: Connection, envelope: Envelope) -> None:
        """A monitor says something."""
        self._messenger.done(len(envelope.data))
        message = messages.decode(envelope)
        answer = self._answer
        if isinstance(message, MonCommandAck) and answer is not None and not answer.done():
            answer.set_result(message)

    def opened(self, conn: Connection) -> None:
        """It listens."""

    def closed(self, conn: Connection) -> None:
        """It does not, or no more."""
        if conn is self._conn and self._answer is not None and not self._answer.done():
            self._answer.set_exception(Unavailable("gone", code="ceph.no_monitor"))

    def _hang_up(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _auth(self, _peer_type: int) -> ClientAuth:
        if self._key is None:
            return NoneClient(EntityType.CLIENT, "admin")
        return MonClient(Wallet("client.admin", self._key, SENSES, EntityType.MON))


async def settled(directory: Path, cluster: Cluster, timeout_s: float) -> None:
    """Until every OSD is up and every group is clean. Raises Timeout."""
    asker = Asker(directory, cluster)
    try:
        async with asyncio.timeout(timeout_s):
            while not _is_settled(await asker.ask("status")):  # noqa: ASYNC110 - others' state
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        raise Timeout("The OSDs do not come up.", code="ceph.start") from error
    finally:
        await asker.close()


def _is_settled(status: Any) -> bool:
    osds, groups = status["osdmap"], status["pgmap"]["pgs_by_state"]
    return osds["num_up_osds"] == osds["num_osds"] and all(
        state["state_name"].startswith("active+clean") for state in groups
    )
