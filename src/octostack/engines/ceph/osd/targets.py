# SPDX-License-Identifier: Apache-2.0
"""Objects of a group that are about to become copies of others, and who waits for them."""

from collections.abc import Callable

import msgspec

from octostack.engines.ceph.osd.ops.copying import Fetched, Source
from octostack.engines.ceph.osd.requests import OpRequest
from octostack.wire.ceph.objects import HObject
from octostack.wire.ceph.opcodes import Code

Fetch = Callable[[Source, Callable[[Fetched], None]], Callable[[], None]]


class _Target(msgspec.Struct, eq=False):
    give_up: Callable[[], None]
    waiting: list[Callable[[], None]]


class Targets:
    """See the module's essay. `fetch` reads a source; without it nothing is copied."""

    def __init__(self, fetch: Fetch | None) -> None:
        self.fetch = fetch
        self._targets: dict[HObject, _Target] = {}

    def holds(self, head: HObject, request: OpRequest, retry: Callable[[], None]) -> bool:
        """Whether a request must wait (`retry` is called then). Who copies a target need not:
        two may be copied onto one another."""
        target = self._targets.get(head) if self._targets else None
        if target is None or (request.ops and request.ops[-1].code == Code.COPY_GET):
            return False
        target.waiting.append(retry)
        return True

    def fill(self, head: HObject, source: Source, then: Callable[[Fetched], None]) -> None:
        """Read the source of a target, and go on with all that waits."""
        assert self.fetch is not None
        target = self._targets[head] = _Target(lambda: None, [])

        def go_on(fetched: Fetched) -> None:
            if self._targets.get(head) is target:
                del self._targets[head]
                then(fetched)
                for retry in target.waiting:
                    retry()

        target.give_up = self.fetch(source, go_on)

    def forget(self) -> None:
        """None of them becomes anything."""
        for target in self._targets.values():
            target.give_up()
        self._targets.clear()
