# SPDX-License-Identifier: Apache-2.0
"""The parts of the cloud: which there are, where each is built, and in which order.

The modules are loaded only when a process really runs them.
"""

import importlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from octostack.base import config
from octostack.base.errors import Invalid, OctoError

if TYPE_CHECKING:
    from octostack.runtime.http import Fault
    from octostack.runtime.service import Runtime, Service

Builder = Callable[["Runtime"], Awaitable["Service"]]


class Part(msgspec.Struct, frozen=True):
    """Where a part is built: its module has ``Config`` and ``build(runtime, config)``.

    `prefixes` are the first segments of its APIs' paths; the module ``routes`` beside its own
    has ``faults``, the form of its errors.
    """

    name: str
    module: str
    prefixes: tuple[str, ...] = ()

    def builder(self, table: dict[str, Any]) -> Builder:
        """How to build the part with its table of the configuration file."""

        async def build(runtime: "Runtime") -> "Service":
            module = importlib.import_module(self.module)
            try:
                settings = config.parse(table, module.Config)
            except Invalid as e:
                raise Invalid(f"[{self.name}] {e.message}", code=e.code) from e
            service: Service = await module.build(runtime, settings)
            return service

        return build

    def faults(self, error: OctoError, status: int, request_id: str) -> "Fault":
        """`error` in the form of the part's API, also before the part is built."""
        routes = importlib.import_module(f"{self.module.rpartition('.')[0]}.routes")
        fault: Fault = routes.faults(error, status, request_id)
        return fault


# In the order of their building: a part may call only those before it while it is built.
SERVICES = (
    Part("identity", "octostack.services.identity.service", ("/identity",)),
    Part("placement", "octostack.services.placement.service", ("/placement",)),
    Part("image", "octostack.services.image.service", ("/image",)),
    Part("network", "octostack.services.network.service", ("/networking",)),
    Part("compute", "octostack.services.compute.service", ("/compute", "/console")),
)

# What runs on a host; a simulated one shares the state code of the real one.
HOST = (
    Part("network_agent", "octostack.agents.network.service"),
    Part("compute_agent", "octostack.agents.compute.service"),
)
SIMULATED_HOSTS = (
    Part("network_agent", "octostack.agents.network.simulated"),
    Part("compute_agent", "octostack.agents.compute.simulated"),
)


def host_modules() -> list[Any]:
    """The modules of what runs on a host; each has ``host_stop`` and ``host_remove``."""
    return [importlib.import_module(part.module) for part in HOST]
