# SPDX-License-Identifier: Apache-2.0
"""The configuration file of an installation, ``octostack.toml`` in its state directory.

Every key has a default, so an empty file is a whole cloud on one machine. A part's own table
(``[identity]``, ``[compute]``, ...) is checked by that part when it is built.
"""

from pathlib import Path
from typing import Any

import msgspec

from octostack.base import config

FILE = "octostack.toml"

TEMPLATE = """\
# Everything here is optional; what is not set has the default shown.

[server]
# host = "127.0.0.1"      # where the APIs listen; loopback unless you ask for more
# port = 9000             # 0: any free port
# public_url = ""         # what the catalogue tells clients; by default http://HOST:PORT

[database]
# url = ""                # postgresql://USER:PASSWORD@HOST/NAME; by default SQLite files here

[bus]
# url = ""                # nats://HOST:4222 once parts run on their own; by default in the process
# prefix = "octo"         # of all subjects: another one for each cloud that shares a broker
# token_file = ""         # the broker's token, a file of mode 0600

[hosts]
# simulate = 0            # so many simulated hosts instead of this machine

[log]
# level = "info"          # debug, info, warning, error

# [endpoints]             # where parts listen that run on their own (octostack run PART)
# identity = "http://127.0.0.1:9001"
# front = "http://127.0.0.1:9000"  # one port before all of them (octostack run front)
"""


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the APIs listen and what clients are told."""

    host: str = "127.0.0.1"
    port: int | None = None
    public_url: str = ""


class DatabaseUrl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where rows live; empty: SQLite in the state directory."""

    url: str = ""


class BusUrl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How parts call each other; empty: within the process.

    `token_file` holds what opens the broker; a relative path is in the state directory. Clouds
    that share a broker need different prefixes.
    """

    url: str = ""
    token_file: str = ""
    prefix: str = "octo"


class Hosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which hosts this process runs: `simulate` simulated ones, or this machine under `name`."""

    simulate: int = 0
    name: str = ""


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much is logged."""

    level: str = "info"


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    server: Server = Server()
    database: DatabaseUrl = DatabaseUrl()
    bus: BusUrl = BusUrl()
    hosts: Hosts = Hosts()
    log: Log = Log()
    endpoints: dict[str, str] = {}
    identity: dict[str, Any] = {}
    placement: dict[str, Any] = {}
    image: dict[str, Any] = {}
    network: dict[str, Any] = {}
    compute: dict[str, Any] = {}
    network_agent: dict[str, Any] = {}
    compute_agent: dict[str, Any] = {}


def load(state_dir: Path) -> Root:
    """The configuration of `state_dir`. Raises Invalid naming the file and the key."""
    return config.load(state_dir / FILE, Root)
