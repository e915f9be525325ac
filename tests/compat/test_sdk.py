# SPDX-License-Identifier: Apache-2.0
"""Scripts on the unmodified openstacksdk."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat
SCRIPTS = Path(__file__).with_name("sdk_scripts.py")
NAMES = [
    node.name for node in ast.parse(SCRIPTS.read_text()).body if isinstance(node, ast.FunctionDef)
]


@pytest.mark.parametrize("name", NAMES)
def test_script(client_process, name):
    answer = client_process.ask(kind="sdk", path=str(SCRIPTS), function=name, cloud="octostack")
    assert not answer["trace"], answer["trace"]
