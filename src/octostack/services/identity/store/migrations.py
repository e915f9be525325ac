# SPDX-License-Identifier: Apache-2.0
"""Steps from older shapes of the tables to today's."""

from octostack.runtime.db import Migration, expand
from octostack.services.identity.store import tables

MIGRATIONS: tuple[Migration, ...] = (expand(1, "policies", tables.policies),)
