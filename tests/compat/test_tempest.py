# SPDX-License-Identifier: Apache-2.0
"""The unmodified tempest: what fails or is skipped is what the list says, and nothing else."""

import importlib.util
import os
from pathlib import Path

import pytest

pytestmark = [pytest.mark.compat, pytest.mark.timeout(3600)]
TOOL = Path(__file__).parents[2] / "tools" / "tempest_run.py"


@pytest.fixture(scope="module")
def tempest():
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location("tempest_run", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_entry_of_the_list_has_its_reason(tempest):
    lines = [
        line
        for line in tempest.EXPECTED.read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert lines, "an empty list would mean that nothing was ever run"
    assert len(tempest.read_expected()) == len(lines), "a line that cannot be read, or twice"
    assert tempest.UNTRIAGED not in tempest.EXPECTED.read_text()


def test_the_smoke_set_ends_as_listed(tempest, cloud, tmp_path):
    outcomes = tempest.run(cloud.state_dir, tempest.SMOKE, os.cpu_count() or 1, tmp_path)
    passed = [outcome for outcome in outcomes if outcome.status == "pass"]
    assert len(passed) > 50, "far too few ran: the set was not found"
    assert not tempest.compare(outcomes)


@pytest.mark.skipif("COMPAT_FULL" not in os.environ, reason="an hour's work: `make tempest`")
def test_all_of_tempest_ends_as_listed(tempest, tmp_path):
    directory = tmp_path / "tempest"
    directory.mkdir()
    with tempest.own_cloud(tmp_path / "state") as web_image:
        outcomes = tempest.run(
            tmp_path / "state", tempest.FULL, os.cpu_count() or 1, directory, web_image
        )
    assert len([outcome for outcome in outcomes if outcome.status == "pass"]) > 700
    assert not tempest.compare(outcomes)
