# SPDX-License-Identifier: Apache-2.0
"""Numbered steps from older databases; a fresh one is made whole from `tables`."""

from octostack.runtime.db import Migration

MIGRATIONS: tuple[Migration, ...] = ()
