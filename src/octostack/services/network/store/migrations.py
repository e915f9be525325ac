# SPDX-License-Identifier: Apache-2.0
"""Steps from older databases; a fresh one is made whole from `tables`."""

from octostack.runtime.db import Migration, expand
from octostack.services.network.store import tables

MIGRATIONS: tuple[Migration, ...] = (expand(1, "ports_told", tables.PORTS_TOLD),)
