# SPDX-License-Identifier: Apache-2.0
"""What every test shares."""

import hypothesis
import pytest

from octostack.base import log

log.configure(level="warning")

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile(
    "octostack", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("octostack")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, the loop the product runs on."""
    return "asyncio"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--rewrite``: expected files are written anew, to be read in review before committed."""
    parser.addoption("--rewrite", action="store_true", help="write expected files anew")
