# SPDX-License-Identifier: Apache-2.0
"""The agent inside a guest, where it runs one: JSON lines over a virtual serial port."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import msgspec

from octostack.base.errors import Conflict, OctoError, Unsupported
from octostack.engines.virt.qemu.monitor import connect_unix

TIMEOUT_S = 3.0
_LINE_BYTES_MAX = 64 << 10


async def set_password(path: Path, user: str, password: str) -> None:
    """Raises Unsupported when nothing answers in the guest, Conflict when it refuses."""
    secret = base64.b64encode(password.encode()).decode()
    arguments = {"username": user, "password": secret, "crypted": False}
    await _call(path, "guest-set-user-password", arguments)


async def _call(path: Path, command: str, arguments: dict[str, Any]) -> Any:
    loop = asyncio.get_running_loop()
    try:
        sock = connect_unix(path)
    except OctoError as e:
        raise Unsupported("the guest runs no agent", code="guest_agent.absent") from e
    with sock:
        request = msgspec.json.encode({"execute": command, "arguments": arguments})
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await loop.sock_sendall(sock, request + b"\n")
                line = b""
                while b"\n" not in line and len(line) < _LINE_BYTES_MAX:
                    data = await loop.sock_recv(sock, 4096)
                    if not data:
                        break
                    line += data
        except TimeoutError as e:
            raise Unsupported("the guest runs no agent", code="guest_agent.absent") from e
    return _value(line.split(b"\n")[0])


def _value(line: bytes) -> Any:
    try:
        answer = msgspec.json.decode(line)
    except msgspec.DecodeError as e:
        raise Conflict("the guest's agent does not make sense", code="guest_agent.garbled") from e
    if isinstance(answer, dict) and "return" in answer:
        return answer["return"]
    raise Conflict("the guest's agent refused", code="guest_agent.refused")
