# SPDX-License-Identifier: Apache-2.0
"""What test clouds stand on: SQLite and calls in the process, or what the environment names.

``TEST_DATABASE=postgresql`` gives each test cloud a database of its own in one PostgreSQL server
of this process. ``TEST_BUS=nats`` sends every call of a test cloud through one real broker. The
suite must pass on every choice; `make test-postgres` and `make test-nats` run it so.
"""

import atexit
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from octostack.base import ids
from octostack.runtime.bus import Transport
from octostack.testing import postgres

if TYPE_CHECKING:
    from octostack.testing.nats import Broker

DATABASE = "TEST_DATABASE"
BUS = "TEST_BUS"


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
    server = postgres.Server()
    server.__enter__()
    atexit.register(server.__exit__, None, None, None)
    return server


def transport() -> Transport | None:
    """What carries the calls of one test cloud; None: within the process."""
    if os.environ.get(BUS, "") != "nats":
        return None
    from octostack.runtime.bus.nats import Nats  # noqa: PLC0415 - only where it is used

    config = msgspec.structs.replace(_broker().config, prefix=f"t{ids.new_hex()}")
    return Nats(config, local=False)


@cache
def _broker() -> "Broker":
    from octostack.testing.nats import Broker  # noqa: PLC0415

    directory = tempfile.TemporaryDirectory(prefix="octostack-nats-")
    broker = Broker(Path(directory.name))
    broker.start()
    atexit.register(directory.cleanup)
    atexit.register(broker.kill)
    return broker
