# SPDX-License-Identifier: Apache-2.0
"""What handlers work with: the service's dependencies (`App`) and one operation (`Op`)."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from octostack.base import clock, ids
from octostack.contracts.identity import Caller
from octostack.runtime.db import Database, Tx
from octostack.runtime.policy import Policy
from octostack.services.network.core import segments
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.store import filters, networks, rows

AGENT_DOWN_S = 75.0


class App:
    """The network service's own things.

    `wake` hints to its loops that rows changed, `tell` that Compute may have to hear of a port.
    """

    def __init__(
        self,
        db: Database,
        policy: Policy,
        fabric: segments.Fabric,
        quotas: Mapping[str, int],
        wake: Callable[[], None],
        tell: Callable[[], None],
    ) -> None:
        self.db = db
        self.policy = policy
        self.fabric = fabric
        self.quotas = dict(quotas)
        self.wake = wake
        self.tell = tell


class Op:
    """One caller's work in one transaction, with what was read on the way."""

    def __init__(self, app: App, tx: Tx, caller: Caller) -> None:
        self.app = app
        self.tx = tx
        self.caller = caller
        self.now = clock.now()
        self._networks: dict[str, nouns.Network | None] = {}
        self._shared: dict[str, bool] = {}

    @property
    def sees_all(self) -> bool:
        """True for operators and for the users of services."""
        return self.caller.is_admin or "service" in self.caller.roles

    async def find_network(self, network_id: str) -> nouns.Network | None:
        """The network, read once."""
        if network_id not in self._networks:
            self._networks[network_id] = await rows.find(self.tx, nouns.Network, network_id)
        return self._networks[network_id]

    async def network(self, network_id: str) -> nouns.Network:
        """The network if the caller may see it. Raises NotFound."""
        found = await self.find_network(network_id)
        if found is None or not self.allowed("get_network", await self.network_target(found)):
            raise fault("NetworkNotFound", net_id=network_id)
        return found

    async def is_shared(self, network_id: str) -> bool:
        """True if the network is lent to the caller's project or to everybody."""
        if network_id not in self._shared:
            self._shared[network_id] = await networks.is_lent(
                self.tx, network_id, self.caller.project_id
            )
        return self._shared[network_id]

    async def network_target(self, network: nouns.Network) -> dict[str, Any]:
        """What policy rules may ask of a network."""
        return {
            **owned(network.project_id),
            "shared": await self.is_shared(network.id),
            "router:external": network.external
            and await networks.is_lent(
                self.tx, network.id, self.caller.project_id, filters.EXTERNAL, filters.SHARED
            ),
        }

    def allowed(self, rule: str, target: Mapping[str, Any]) -> bool:
        """Would the rule let the caller act on the target?"""
        return self.app.policy.check(rule, target, self.caller)

    def stamped(self, row: Any, **changes: Any) -> Any:
        """The row with changes, one revision on; itself where nothing changes."""
        if all(getattr(row, name) == value for name, value in changes.items()):
            return row
        return self.bumped(row, **changes)

    def bumped(self, row: Any, **changes: Any) -> Any:
        """The row one revision on, with changes or for what hangs on it."""
        return msgspec.structs.replace(
            row, **changes, updated_at=self.now, revision_number=row.revision_number + 1
        )

    def fresh(self, noun: type[Any], **values: Any) -> Any:
        """A new row with an id and its times; `values` in the names of the noun's fields."""
        head = {"id": ids.new(), "created_at": self.now, "updated_at": self.now}
        return noun(**{**head, **values})


def owned(project_id: str) -> dict[str, Any]:
    """The part of a policy target that every row has."""
    return {"project_id": project_id, "tenant_id": project_id}
