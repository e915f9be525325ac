# SPDX-License-Identifier: Apache-2.0
"""The engines: SQLite in a fresh directory, PostgreSQL in a fresh cluster of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from octostack.testing import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.Server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}"
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return server.create_database()
