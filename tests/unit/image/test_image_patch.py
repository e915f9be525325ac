# SPDX-License-Identifier: Apache-2.0
"""JSON patches of both media types, and what they make of an image."""

from typing import Any

import pytest

from octostack.base.errors import Conflict, Forbidden, Invalid
from octostack.services.image.core.patch import V20, V21, Change, applied, read
from octostack.services.image.model import Image


def image(**fields: Any) -> Image:
    plain = {"id": "i", "name": "n", "status": "queued", "owner": "p", "visibility": "shared"}
    return Image(**(plain | fields), created_at=1.0, updated_at=1.0)


def patched(before: Image, *changes: Any, media_type: str = V21) -> Image:
    after = before
    for change in read(list(changes), media_type):
        after = applied(after, change, 2.0)
    return after


def test_attributes_and_properties() -> None:
    after = patched(
        image(properties={"a": "1", "b": "2"}, tags=("old",)),
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/os_hidden", "value": True},
        {"op": "replace", "path": "/tags", "value": ["x", "x", "y"]},
        {"op": "replace", "path": "/a", "value": "9"},
        {"op": "remove", "path": "/b"},
        {"op": "add", "path": "/c~1d~0e", "value": "3"},
    )
    assert (after.name, after.hidden, after.tags) == ("new", True, ("x", "y"))
    assert after.properties == {"a": "9", "c/d~e": "3"}
    assert after.updated_at == 2.0


def test_the_older_form() -> None:
    after = patched(image(), {"replace": "/name", "value": "new"}, media_type=V20)
    assert after.name == "new"
    assert read([{"add": "/x", "value": "1"}], V20) == [Change("add", "x", "1", True)]
    with pytest.raises(Conflict):
        patched(image(properties={"x": "0"}), {"add": "/x", "value": "1"}, media_type=V20)
    assert patched(image(properties={"x": "0"}), {"op": "add", "path": "/x", "value": "1"})


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ({}, V21),
        (["x"], V21),
        ([{"path": "/a", "value": "1"}], V21),
        ([{"op": "move", "path": "/a", "value": "1"}], V21),
        ([{"op": ["add"], "path": "/a", "value": "1"}], V21),
        ([{"op": "add", "value": "1"}], V21),
        ([{"op": "add", "path": "/a"}], V21),
        ([{"op": "add", "path": "a", "value": "1"}], V21),
        ([{"op": "add", "path": 7, "value": "1"}], V21),
        ([{"op": "add", "path": "/a//b", "value": "1"}], V21),
        ([{"op": "add", "path": "/a/", "value": "1"}], V21),
        ([{"op": "add", "path": "/a/b", "value": "1"}], V21),
        ([{"op": "add", "path": "/", "value": "1"}], V21),
        ([{"op": "add", "path": "/a~2", "value": "1"}], V21),
        ([{"op": "add", "path": "/a~", "value": "1"}], V21),
        ([{"add": "/a", "remove": "/b", "value": "1"}], V20),
        ([{"value": "1"}], V20),
        ([{"add": None, "value": "1"}], V20),
    ],
)
def test_what_is_no_patch(body: Any, media_type: str) -> None:
    with pytest.raises(Invalid):
        read(body, media_type)


@pytest.mark.parametrize(
    "name", ["id", "status", "size", "checksum", "self", "deleted", "os_glance_x", "locations"]
)
def test_what_users_do_not_set(name: str) -> None:
    with pytest.raises(Forbidden):
        read([{"op": "add", "path": f"/{name}", "value": "1"}], V21)


def test_what_the_state_forbids() -> None:
    for change, error in (
        ({"op": "remove", "path": "/name"}, Forbidden),
        ({"op": "replace", "path": "/nothing", "value": "1"}, Conflict),
        ({"op": "remove", "path": "/nothing"}, Conflict),
    ):
        with pytest.raises(error):
            patched(image(), change)
    with pytest.raises(Forbidden, match="only replaced for a queued image"):
        patched(image(status="active"), {"op": "replace", "path": "/disk_format", "value": "raw"})
