# SPDX-License-Identifier: Apache-2.0
"""Objects of a group of which much is being read, aside from what else there is to do.

A request that needs such bytes stops with `NeedsBytes`, and runs anew once they are there. All
later requests for the object wait until then: so it is answered as the object was when it came,
and answers about one object keep their order.
"""

from collections.abc import Callable

from octostack.base.errors import NotFound, OctoError
from octostack.engines.ceph.osd.objectstore.api import Data
from octostack.engines.ceph.osd.ops.context import Place
from octostack.engines.ceph.osd.ops.failures import NeedsBytes
from octostack.wire.ceph.objects import HObject


class Reading:
    """See the module's essay. Objects are named by their heads."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._waiting: dict[HObject, list[Callable[[], None]]] = {}

    def holds(self, head: HObject, retry: Callable[[], None]) -> bool:
        """Whether a request must wait (`retry` is called then)."""
        waiting = self._waiting.get(head)
        if waiting is None:
            return False
        waiting.append(retry)
        return True

    def start(
        self, head: HObject, need: NeedsBytes, then: Callable[[Data | OctoError], None]
    ) -> None:
        """Read; then go on with the request, and with all that waits."""
        waiting = self._waiting[head] = []

        def go_on(found: Data | OctoError) -> None:
            if self._waiting.get(head) is waiting:
                del self._waiting[head]
                then(found)
                for retry in waiting:
                    retry()

        store, where = self._place.store, self._place.collection
        try:
            store.read_aside(where, need.what, (need.offset, need.length), go_on)
        except NotFound as error:
            go_on(error)

    def forget(self) -> None:
        """Nobody waits any more, and what is being read is for nobody."""
        self._waiting.clear()
