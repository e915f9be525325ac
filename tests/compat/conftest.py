# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a cloud of simulated hosts, and the openstack client as admin and member."""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from octostack.testing import postgres, split


def _load(name: str) -> ModuleType:
    """The module beside this file; tests are no packages, so it has no import path."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


clients = _load("clients")


@pytest.fixture(scope="session")
def cloud() -> Iterator["clients.Cloud"]:
    """A cloud of three simulated hosts, started by the real command.

    COMPAT_STATE_DIR names one that runs already, which saves its start. COMPAT_SPLIT starts one
    whose parts are processes of their own, on a broker and on PostgreSQL, behind one port.
    """
    if not clients.CLIENTS_PYTHON.exists():
        pytest.skip("the clients' environment is missing: run `make setup`")
    given = os.environ.get("COMPAT_STATE_DIR")
    if given:
        yield clients.Cloud(Path(given))
        return
    directory = Path(tempfile.mkdtemp(prefix="octo-compat-"))
    if os.environ.get("COMPAT_SPLIT"):
        with postgres.Server() as server:
            database = server.create_database()
            with split.SplitCloud(directory, simulate=3, database_url=database) as processes:
                yield clients.Cloud(processes.state_dir)
    else:
        running = clients.Cloud(directory)
        running.up()
        yield running
        running.down()
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def client_process(cloud: "clients.Cloud") -> Iterator["clients.Clients"]:
    """The process in which the clients of others run."""
    process = clients.Clients(cloud)
    yield process
    process.close()


@pytest.fixture(scope="session")
def openstack(client_process: "clients.Clients") -> "clients.OpenStack":
    """The openstack command as the administrator."""
    return clients.OpenStack(client_process)


@pytest.fixture(scope="session")
def demo(client_process: "clients.Clients") -> "clients.OpenStack":
    """The openstack command as an ordinary member of the project demo."""
    return clients.OpenStack(client_process, cloud="demo")
