# SPDX-License-Identifier: Apache-2.0
"""Running a program to its end, in a thread, its output in a file.

Not by the event loop's own subprocesses: of two that start at once, one may inherit the other's
pipe, and when that one is a daemon the pipe never ends.
"""

import asyncio
import subprocess
import tempfile
from collections.abc import Mapping

from octostack.base.errors import Timeout, Unavailable

PATHS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
SAID_CHARS_MAX = 500


async def run(
    *command: str, environment: Mapping[str, str] | None = None, timeout_s: float = 20.0
) -> str:
    """The output of a command. Raises Unavailable with what it said when it fails; Timeout."""
    return await asyncio.to_thread(_run, command, dict(environment or {}), timeout_s)


def _run(command: tuple[str, ...], environment: dict[str, str], timeout_s: float) -> str:
    with tempfile.TemporaryFile() as output:
        try:
            status = subprocess.run(
                command,
                env={"PATH": PATHS, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                timeout=timeout_s,
                check=False,
            ).returncode
        except OSError as e:
            raise Unavailable(f"cannot run {command[0]}: {e}", code="command.missing") from e
        except subprocess.TimeoutExpired as e:
            raise Timeout(f"{command[0]} does not end", code="command.timeout") from e
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    if status:
        what = f"{' '.join(command)}: {said.strip()[-SAID_CHARS_MAX:]}"
        raise Unavailable(what, code="command.failed")
    return said
