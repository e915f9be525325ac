# SPDX-License-Identifier: Apache-2.0
"""Filters by name and address: what is an expression, and which are too much."""

import re

import pytest

from octostack.base.errors import Invalid
from octostack.services.compute.core import patterns
from octostack.services.compute.model import Pattern


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, None),
        ("", None),
        ("web-1", Pattern("web-1", plain=True)),
        ("50%_", Pattern("50%_", plain=True)),
        ("^web", Pattern("^web", plain=False)),
        (r"^.*\-instance\-[0-9]+$", Pattern(r"\-instance\-[0-9]+$", plain=False)),
        ("a.*b.*c.*", Pattern("a.*b.*c", plain=False)),
        (".*", Pattern("", plain=True)),
        (r"a\.*", Pattern(r"a\.*", plain=False)),
        (".*?a", Pattern(".*?a", plain=False)),
        ("[*+{]{2}", Pattern("[*+{]{2}", plain=False)),
        ("a(", Pattern("a(", plain=True)),  # no expression at all
        ("x**", Pattern("x**", plain=True)),
    ],
)
def test_names(text: str | None, found: Pattern | None) -> None:
    assert patterns.of_name(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+$",
        "(a|aa)*",
        "(a){9}",
        r"(a)\1",
        "(?=a)b",
        "a*a*a*b",
        "[[:alpha:]]",
        "a*+",
        "a{,3}",
        r"\bweb",
        "a" * 256,
        "a\0",
    ],
)
def test_what_could_take_long_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        patterns.of_name(text)
    assert refused.value.details["field"] == "name"


def test_addresses_are_parts_of_addresses() -> None:
    assert patterns.of_address("10.0.0.", "ip") == Pattern("10.0.0.", plain=True)
    assert patterns.of_address("fd00::", "ip6") == Pattern("fd00::", plain=True)
    assert patterns.of_address("^10.", "ip") == Pattern("^10.", plain=False)


def test_what_is_let_through_means_the_same() -> None:
    texts = ["", "a", "ab", "xaby", "b\na", "a.b", "ba", "aab", ".*"]
    for pattern in (".*a.*", "^.*b$", "^a.*$", "a?b", "^(a|x).*b", "a.b", ".+a.*", r".*\.b"):
        found = patterns.of_name(pattern)
        assert found is not None
        for text in texts:
            if "\n" in text:
                continue  # no name holds one
            assert bool(re.search(pattern, text)) == bool(re.search(found.text, text)), pattern
