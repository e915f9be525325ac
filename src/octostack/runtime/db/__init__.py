# SPDX-License-Identifier: Apache-2.0
"""Where rows live: SQLite in the state directory by default, PostgreSQL by a URL.

Tables and statements are SQLAlchemy Core, one definition for both. A service opens one database
(`engine.Database`) and works in transactions (`tx.Tx`). Writers of one database are serialised
on both engines, so a transaction may read, decide and write without a lost update.
"""

from octostack.runtime.db.engine import Database, open_database
from octostack.runtime.db.migrate import Migration, Phase, contract, convert, expand
from octostack.runtime.db.page import Page, paged
from octostack.runtime.db.tx import Tx
from octostack.runtime.db.typed import Typed

__all__ = [
    "Database",
    "Migration",
    "Page",
    "Phase",
    "Tx",
    "Typed",
    "contract",
    "convert",
    "expand",
    "open_database",
    "paged",
]
