# SPDX-License-Identifier: Apache-2.0
"""Query strings by microversion."""

from urllib.parse import parse_qsl

import pytest

from octostack.base.errors import Invalid
from octostack.services.placement.core import query

AGG = "11111111-2222-3333-4444-555555555555"
AGG2 = "11111111-2222-3333-4444-666666666666"
V10, V22, V25, V33, V36, V39 = (1, 10), (1, 22), (1, 25), (1, 33), (1, 36), (1, 39)


def read(text: str, version: tuple[int, int]) -> object:
    return query.candidates(parse_qsl(text, keep_blank_values=True), version)


def test_groups_are_taken_apart_by_suffix() -> None:
    found = query.candidates(
        parse_qsl(
            "resources=VCPU:1,MEMORY_MB:64&required=A,!B&resources1=VGPU:1&required1=in:C,D"
            f"&required1=E&member_of1=in:{AGG},{AGG2}&member_of1=!{AGG}&group_policy=none&limit=7"
        ),
        V39,
    )
    plain, one = found.groups
    assert plain.resources == {"VCPU": 1, "MEMORY_MB": 64}
    assert (plain.required, plain.forbidden) == ((("A",),), ("B",))
    assert (one.suffix, one.required) == ("1", (("C", "D"), ("E",)))
    assert (one.member_of, one.not_member_of) == (((AGG, AGG2),), (AGG,))
    assert (found.group_policy, found.limit) == ("none", 7)


def test_before_1_39_a_repeated_trait_list_counts_once() -> None:
    text = "resources=VCPU:1&required=A&required=B"
    (old,) = query.candidates(parse_qsl(text), V36).groups
    (new,) = query.candidates(parse_qsl(text), V39).groups
    assert (old.required, new.required) == ((("B",),), (("A",), ("B",)))


@pytest.mark.parametrize(
    ("text", "version", "message"),
    [
        ("resources=", V10, "empty string"),
        ("resources=VCPU", V10, "Badly formed resources"),
        ("resources=VCPU:1:2", V10, "Badly formed resources"),
        ("resources=VCPU:x", V10, "expected positive integer"),
        ("resources=VCPU:0", V10, "requires amount >= 1"),
        ("resources=VCPU:1&required=!A", (1, 21), "HW_CPU_X86_VMX,CUSTOM_MAGIC"),
        ("resources=VCPU:1&required=A,,B", V22, "empty trait"),
        ("resources=VCPU:1&required=A,!A", V22, "Conflicting required and forbidden"),
        ("resources=VCPU:1&required=in:A,B", V36, "only supported since microversion 1.39"),
        ("resources=VCPU:1&required=in:A,!B", V39, "does not support forbidden"),
        ("resources=VCPU:1&required=in:A,", V39, "empty trait"),
        ("resources=VCPU:1&member_of=a", V22, "valid UUID"),
        (f"resources=VCPU:1&member_of={AGG},{AGG2}", V22, "must be prefixed"),
        (f"resources=VCPU:1&member_of={AGG}&member_of={AGG2}", V22, "not supported"),
        (f"resources=VCPU:1&member_of=!{AGG}", (1, 31), "not supported"),
        ("resources=VCPU:1&in_tree=x", (1, 31), "format of uuid"),
        ("resources1=VCPU:1&resources2=VCPU:1", V25, "group_policy"),
        ("required1=A", V25, "orphaned traits"),
        (f"member_of1={AGG}", V25, "orphaned member_of"),
        ("group_policy=none", V25, "At least one request group"),
        ("required_X=A", V36, "at least one resources"),
        ("resources=VCPU:1&required_X=A", V36, "bad group"),
        ("resources_X=VCPU:1&same_subtree=_X,_Y", V36, "Real suffixes"),
        ("resources_X=VCPU:1&same_subtree=_X,", V36, "Empty string"),
        ("resources=VCPU:1&root_required=A&root_required=B", V36, "only once"),
        ("resources=VCPU:1&root_required=A,!A", V36, "Conflicting required and forbidden"),
    ],
)
def test_what_is_refused(text: str, version: tuple[int, int], message: str) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        read(text, version)
    assert caught.value.details["field"]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (AGG, True),
        (AGG.upper(), True),
        (AGG.replace("-", ""), True),
        ("{" + AGG + "}", False),
        ("x", False),
        (None, False),
        (7, False),
    ],
)
def test_uuids_as_openstack_takes_them(text: object, good: bool) -> None:
    assert query.is_uuid(text) is good


def test_an_amount_without_end_is_just_too_much() -> None:
    (found,) = query.candidates([("resources", "VCPU:" + "9" * 400)], V10).groups
    assert found.resources["VCPU"] < 1 << 63
    with pytest.raises(Invalid):
        query.candidates([("resources", "VCPU:" + "9" * 5000)], V10)


def test_suffixes_by_version() -> None:
    (named,) = query.candidates([("resources_NET-1", "VCPU:1")], V33).groups
    assert named.suffix == "_NET-1"
    with pytest.raises(Invalid):
        query.candidates([("resources_NET", "VCPU:1")], V25)
