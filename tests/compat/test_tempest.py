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


def test_the_outcome_is_as_listed(tempest, cloud, tmp_path):
    """The smoke set; all of tempest.api for our services with COMPAT_FULL, as in `make compat`."""
    full = bool(os.environ.get("COMPAT_FULL"))
    outcomes = tempest.run(
        cloud.state_dir, tempest.FULL if full else tempest.SMOKE, os.cpu_count() or 1, tmp_path
    )
    passed = [outcome for outcome in outcomes if outcome.status == "pass"]
    assert len(passed) > (600 if full else 50), "far too few ran: the set was not found"
    assert not tempest.compare(outcomes)
