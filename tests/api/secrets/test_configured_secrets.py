# SPDX-License-Identifier: Apache-2.0
"""What opens the database and the broker is in no error, however wrong its setting is."""

import traceback
from collections.abc import Awaitable

import pytest
import sqlalchemy as sa

from octostack.base.errors import OctoError
from octostack.runtime.bus.nats import Nats, NatsConfig
from octostack.runtime.db import open_database

pytestmark = pytest.mark.anyio

CANARY = "canary-Xq7"
NOBODY = "127.0.0.1:1"  # no program listens there


async def _said(work: Awaitable[object]) -> str:
    """Every word of the error, what it came from included."""
    with pytest.raises(OctoError) as caught:
        await work
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value.details)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://octostack:{CANARY}@{NOBODY}/cloud",
        f"postgresql://octostack:{CANARY}@127.0.0.1:port/cloud",
        f"postgresql://octostack:{CANARY}@[::1/cloud",
        f"postgresql:octostack:{CANARY}@{NOBODY}",
        f"postgresql://{NOBODY}/cloud?password={CANARY}",
        f"postgresql://{NOBODY}/cloud?odd={CANARY}",
        f"mysql://octostack:{CANARY}@{NOBODY}/cloud",
    ],
)
async def test_a_database_that_does_not_open(url: str) -> None:
    assert CANARY not in await _said(open_database(url, "identity", sa.MetaData()))


@pytest.mark.parametrize(
    "server",
    [
        f"nats://octostack:{CANARY}@{NOBODY}",
        f"nats://{CANARY}@{NOBODY}",
        f"nats://octostack:{CANARY}@127.0.0.1:port",
        f"tls://octostack:{CANARY}@{NOBODY}",
        f"{CANARY}:{CANARY}@{NOBODY}",
    ],
)
async def test_a_broker_that_is_not_there(server: str, capfd: pytest.CaptureFixture[str]) -> None:
    config = NatsConfig(servers=(server,), token=CANARY, start_timeout_s=0.1)
    said = await _said(Nats(config).start())
    heard = capfd.readouterr()
    assert CANARY not in said + heard.out + heard.err
