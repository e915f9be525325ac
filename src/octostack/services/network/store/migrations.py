# SPDX-License-Identifier: Apache-2.0
"""Numbered steps from older databases; there is no older one yet."""

from octostack.runtime.db import Migration

MIGRATIONS: tuple[Migration, ...] = ()
