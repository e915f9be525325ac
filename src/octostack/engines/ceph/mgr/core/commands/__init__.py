# SPDX-License-Identifier: Apache-2.0
"""The commands that clients send to the manager; a monitor that is asked one answers it too."""

from typing import Final

from octostack.engines.ceph.mgr.core.commands import groups, managed, usage
from octostack.engines.ceph.mon.core.commands.table import Command

TABLE: Final[tuple[Command, ...]] = (*groups.TABLE, *usage.TABLE, *managed.TABLE)
