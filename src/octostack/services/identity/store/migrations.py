# SPDX-License-Identifier: Apache-2.0
"""Steps from older shapes of the tables to today's; none yet."""

from octostack.runtime.db import Migration

MIGRATIONS: tuple[Migration, ...] = ()
