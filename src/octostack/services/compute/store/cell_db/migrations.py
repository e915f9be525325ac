# SPDX-License-Identifier: Apache-2.0
"""Steps from older shapes of a cell database; a fresh one is made whole from `tables`."""

from octostack.runtime.db import Migration

MIGRATIONS: tuple[Migration, ...] = ()
