# SPDX-License-Identifier: Apache-2.0
"""What a monitor knows of the history: the versions it keeps for others, and the pending one."""

from typing import Final

from octostack.engines.ceph.mon.core.paxos import values as v
from octostack.engines.ceph.mon.core.paxos.values import Times

SHARED_BYTES: Final = 4 << 20  # of versions in one message


class History:
    """Versions `first` to `last` are kept, all up to `last` are applied."""

    def __init__(self, stored: v.Stored, times: Times) -> None:
        self.first, self.last = stored.first, stored.last
        self.pending = stored.pending
        self._times = times
        self._log = dict(stored.log)
        self._log_bytes = sum(map(len, self._log.values()))
        self._parts: dict[int, dict[str, bytes]] = {}
        self._parts_version = -1

    def list_after(self, has: int) -> dict[int, bytes]:
        """Those that follow `has`, as many as go in a message; none when some are trimmed."""
        found: dict[int, bytes] = {}
        size = 0
        if has + 1 < self.first:
            return found
        for version in range(has + 1, self.last + 1):
            value = self._log[version]
            size += len(value)
            if found and size > SHARED_BYTES:
                break
            found[version] = value
        return found

    def learn(self, version: int, value: bytes) -> v.Learn:
        """The next version is committed."""
        self._advance(version)
        self._log[version] = value
        self._log_bytes += len(value)
        return v.Learn(version, value, self._trim(self._times.kept))

    def learn_alone(self, version: int, value: bytes) -> v.Learn:
        """The same for who has nobody to bring up to date, and nobody else who has it on a disk:
        so it is to be durable at once, if it is not as pending."""
        at_once = self.pending is None
        self._advance(version)
        return v.Learn(version, value, self._trim(0), at_once=at_once, is_kept=False)

    def _advance(self, version: int) -> None:
        assert version == self.last + 1
        self.last = version
        self.pending = None

    def _trim(self, kept: int) -> tuple[int, ...]:
        trimmed = []
        for version in sorted(self._log):
            if len(self._log) <= kept and self._log_bytes <= self._times.kept_bytes:
                break
            self._log_bytes -= len(self._log.pop(version))
            trimmed.append(version)
        self.first = self.last + 1 - len(self._log)
        return tuple(trimmed)

    def forget_parts(self) -> None:
        """What came of everything is of no use any more."""
        self._parts = {}

    def take_part(self, message: v.SyncPart) -> v.Install | None:
        """A part of everything; the whole, when it was the last part that was missing."""
        if message.version <= self.last:
            return None
        if message.version != self._parts_version:
            self._parts, self._parts_version = {}, message.version
        self._parts[message.number] = message.pairs
        if len(self._parts) < message.count:
            return None
        pairs: dict[str, bytes] = {}
        for part in self._parts.values():
            pairs |= part
        self._parts = {}
        self._log, self._log_bytes = {}, 0
        self.last, self.first = message.version, message.version + 1
        self.pending = None
        return v.Install(message.version, pairs)
