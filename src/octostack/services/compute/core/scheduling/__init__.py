# SPDX-License-Identifier: Apache-2.0
"""Where a server goes.

Placement says where it fits; here is decided where it belongs. The world is columns in memory
(`world`), fed by changes, so a decision reads no row. A filter answers with a set of hosts as
the bits of one integer: combining filters over 10,000 hosts is a few machine instructions.
What passes is ranked by weighers. The first host that Placement lets us claim is taken; there
is no other check afterwards, because the claim is one transaction.
"""

from octostack.services.compute.core.scheduling.choose import Request, choose
from octostack.services.compute.core.scheduling.world import World

__all__ = ["Request", "World", "choose"]
