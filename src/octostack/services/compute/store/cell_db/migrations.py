# SPDX-License-Identifier: Apache-2.0
"""Steps from older shapes of a cell database; a fresh one is made whole from `tables`."""

from octostack.runtime.db import Migration, expand
from octostack.services.compute.store.cell_db import tables

MIGRATIONS: tuple[Migration, ...] = (expand(1, "leases", tables.leases),)
