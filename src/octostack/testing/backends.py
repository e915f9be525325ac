# SPDX-License-Identifier: Apache-2.0
"""What test clouds stand on: SQLite and calls in the process, or what the environment names.

``TEST_DATABASE=postgresql`` gives each test cloud a database of its own in one PostgreSQL server
of this process. The suite must pass on every choice; `make test-postgres` runs it so.
"""

import atexit
import os
import tempfile
from functools import cache
from pathlib import Path

from octostack.testing import postgres

DATABASE = "TEST_DATABASE"


def database_url(state_dir: Path) -> str:
    """Where the rows of a test cloud in `state_dir` go; the same directory, the same rows."""
    if os.environ.get(DATABASE, "sqlite") == "sqlite":
        return f"sqlite:{state_dir / 'db'}"
    return _database_of(state_dir)


@cache
def _database_of(_state_dir: Path) -> str:
    return _server().create_database()


@cache
def _server() -> postgres.Server:
    directory = tempfile.TemporaryDirectory(prefix="octostack-pg-")
    server = postgres.Server(Path(directory.name))
    server.__enter__()
    atexit.register(directory.cleanup)
    atexit.register(server.__exit__, None, None, None)
    return server
