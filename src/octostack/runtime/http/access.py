# SPDX-License-Identifier: Apache-2.0
"""Access rules: the few requests that a token of an application credential is good for.

A path pattern knows ``*`` and ``{name}`` (one segment) and ``**`` (anything), as Keystone's
middleware does; it is matched against the path below the service's own prefix.
"""

import functools
import re
from collections.abc import Iterable

from octostack.contracts.identity import AccessRule

_WILD = re.compile(r"\*\*|\*|\{[^}]*\}")


def allows(rules: Iterable[AccessRule], service: str, method: str, path: str) -> bool:
    """Is there a rule for this request? `path` begins with the prefix of the service."""
    below = "/" + path.removeprefix("/").partition("/")[2]
    return any(
        rule.service == service and rule.method == method and _pattern(rule.path).fullmatch(below)
        for rule in rules
    )


@functools.lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    parts: list[str] = []
    end = 0
    for wild in _WILD.finditer(text):
        parts += [re.escape(text[end : wild.start()]), ".*" if wild[0] == "**" else "[^/]+"]
        end = wild.end()
    return re.compile("".join([*parts, re.escape(text[end:])]))
