# SPDX-License-Identifier: Apache-2.0
"""No contract changes its shape without a new version, nor in a way an older peer cannot bear.

After a change that is meant: raise VERSION, then ``pytest tests/contract/test_fingerprints.py
--rewrite``, and read the difference before committing it. A contract that no release has yet
may be taken out of the file first.
"""

from abc import abstractmethod
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octostack.base.contract import Contract, since
from octostack.testing import fingerprint

FILE = Path(__file__).with_name("fingerprints.json")


def test_no_contract_changed_under_its_version(request: pytest.FixtureRequest) -> None:
    kept: dict[str, Any] = msgspec.json.decode(FILE.read_bytes())
    now = {kind.__name__: fingerprint.describe(kind) for kind in fingerprint.contracts()}
    assert now, "no contract was found"
    flaws = {name: fingerprint.judge(kept[name], now[name]) for name in kept.keys() & now.keys()}
    assert {name: what for name, what in flaws.items() if what} == {}
    if request.config.getoption("--rewrite"):
        FILE.write_text(fingerprint.render(now))
        return
    assert kept == now, "changed as it should be: rewrite the file (--rewrite), and read it"


class Item(msgspec.Struct):
    id: str
    tags: list[str] = []


class Wider(msgspec.Struct):
    id: str
    tags: list[str] = []
    size: int = 0


def contract(version: tuple[int, int], **methods: Any) -> dict[str, Any]:
    made = {name: abstractmethod(method) for name, method in methods.items()}
    return fingerprint.describe(type("C", (Contract,), {"VERSION": version, **made}))


async def get(self: Any, id: str) -> Item: ...  # type: ignore[empty-body]
async def get_deep(self: Any, id: str, deep: bool = False) -> Item: ...  # type: ignore[empty-body]
async def get_strict(self: Any, id: str, deep: bool) -> Item: ...  # type: ignore[empty-body]
async def get_number(self: Any, id: int) -> Item: ...  # type: ignore[empty-body]
async def get_wide(self: Any, id: str) -> Wider: ...  # type: ignore[empty-body]
async def drop(self: Any, id: str) -> None: ...
@since(1, 1)
async def drop_later(self: Any, id: str) -> None: ...


@pytest.mark.parametrize(
    ("after", "flaw"),
    [
        (contract((1, 0), get=get), ""),
        (contract((1, 0), get=get_deep), "VERSION did not grow"),
        (contract((1, 1), get=get_deep), ""),
        (contract((1, 1), get=get_strict), "deep is new and has no default"),
        (contract((1, 1), get=get_number), "id was str and is int"),
        (contract((2, 0), get=get_number), ""),
        (contract((1, 1), get=get_wide), "returns Wider"),
        (contract((1, 1), other=drop), "get is gone"),
        (contract((1, 1), get=get, drop=drop), "mark it @since"),
        (contract((1, 1), get=get, drop=drop_later), ""),
    ],
)
def test_what_an_older_peer_can_bear(after: dict[str, Any], flaw: str) -> None:
    flaws = fingerprint.judge(contract((1, 0), get=get), after)
    assert bool(flaws) == bool(flaw), flaws
    assert flaw in "; ".join(flaws)


def test_a_field_that_comes_needs_a_default_and_one_with_a_default_may_go() -> None:
    narrow, wide = contract((1, 0), get=get), contract((1, 1), get=get)
    wide["types"]["Item"] = {**narrow["types"]["Item"], "size": "int?"}
    assert fingerprint.judge(narrow, wide) == []
    wide["types"]["Item"]["size"] = "int"
    assert "size is new" in fingerprint.judge(narrow, wide)[0]
    del wide["types"]["Item"]["size"], wide["types"]["Item"]["tags"]
    assert fingerprint.judge(narrow, wide) == []
    del wide["types"]["Item"]["id"]
    assert "id is gone" in fingerprint.judge(narrow, wide)[0]
