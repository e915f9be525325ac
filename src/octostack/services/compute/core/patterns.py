# SPDX-License-Identifier: Apache-2.0
"""What a list's filters by name and address may be: a part of the text, or a regular expression.

The expression is the caller's, and the database runs it on every row. So whatever could take more
than the square of a name's length is refused: repeated groups, references back, more than two
repeats in the middle. A leading or trailing ``.*`` says nothing in a search and is not counted.
"""

import re

from octostack.base.errors import Invalid
from octostack.services.compute.model import Pattern

_META = re.compile(r"[.^$*+?{}\[\]|()\\]")
_ADDRESS = re.compile(r"[0-9a-fA-F.:]+")
_ENDS = re.compile(r"^\^?\.\*(?![*+?{])|(?<!\\)\.\*\$?$")
_CLASS_OR_ESCAPE = re.compile(r"\\.|\[\^?\]?[^\]]*\]")
_REPEAT = re.compile(r"[*+{]")
# Besides what takes long: what PostgreSQL reads in another way than Python, or not at all.
_DANGER = re.compile(r"\)[*+{]|\(\?|[*+?}]\+|\{,")
_OTHERS = re.compile(r"\[[\[.=]|\\[0-9A-Zb]")
_LENGTH_MAX, _REPEATS_MAX = 255, 2


def of_name(text: str | None) -> Pattern | None:
    """A filter by name; nothing given, nothing asked. Raises Invalid."""
    return _read(text, "name", plain=bool(text) and not _META.search(text or ""))


def of_address(text: str | None, field: str) -> Pattern | None:
    """A filter by address; its dots and colons are what they are. Raises Invalid."""
    return _read(text, field, plain=bool(text and _ADDRESS.fullmatch(text)))


def _read(text: str | None, field: str, *, plain: bool) -> Pattern | None:
    if not text:
        return None
    if len(text) > _LENGTH_MAX or "\x00" in text:
        raise Invalid(f"The filter {field} is too long or holds a null character", field=field)
    if plain:
        return Pattern(text, plain=True)
    shortened = _ENDS.sub("", text)
    bare = _CLASS_OR_ESCAPE.sub("x", shortened)
    dangerous = _DANGER.search(bare) or _OTHERS.search(shortened)
    if dangerous or len(_REPEAT.findall(bare)) > _REPEATS_MAX:
        raise Invalid(f"The regular expression of the filter {field} is too complex", field=field)
    try:
        re.compile(shortened)
    except re.error:
        return Pattern(text, plain=True)  # no expression: then it is looked for as it stands
    return Pattern(shortened, plain=not shortened)
