# SPDX-License-Identifier: Apache-2.0
"""The declared table of attributes agrees with rows, tables, filters and policy."""

import pytest

from octostack.runtime.policy import Policy
from octostack.services.network import policy, routes
from octostack.services.network.schema.resource import field_of
from octostack.services.network.store import filters, tables

RESOURCES = [thing.resource for thing in routes.THINGS]
LATE = {thing.resource.name: thing.late_filters for thing in routes.THINGS}
ATTRS = [(r, a) for r in RESOURCES for a in r.attrs.values()]
NAMES = [f"{r.name}.{a.name}" for r, a in ATTRS]


@pytest.mark.parametrize(("resource", "attr"), ATTRS, ids=NAMES)
def test_an_attribute_is_in_the_row_or_declared_as_computed(resource, attr):
    column = attr.field is not None
    if column:
        assert field_of(attr) in resource.noun.__struct_fields__
        assert field_of(attr) in tables.OF[resource.noun].c
    special = {(resource.noun, attr.name), (None, attr.name)} & set(filters.SPECIAL)
    special |= LATE[resource.name] & {attr.name}
    assert not attr.filter or column or special, "a filter that no column answers"
    assert not attr.sort or column, "a sort key that no column answers"
    kind = tables.OF[resource.noun].c[field_of(attr)].type if column else None
    if column and kind.python_type is dict:  # JSON does not compare
        assert not attr.sort and (not attr.filter or special)


def test_every_guarded_attribute_has_its_rule_and_every_rule_its_attribute():
    rules = Policy(policy.RULES).rules
    for resource, attr in ATTRS:
        for verb in attr.enforce:
            assert f"{verb}_{resource.name}:{attr.name}" in rules
    by_name = {resource.name: resource for resource in RESOURCES}
    for resource, checks in policy._TABLE.items():
        for key in checks:
            verb, _, rest = key.partition(":")
            if not rest or resource not in by_name:
                continue
            names = [n for n in by_name[resource].attrs if rest == n or rest.startswith(n + ":")]
            assert names, f"{verb}_{resource}:{rest} guards nothing"
            guarded = any(verb in by_name[resource].attrs[name].enforce for name in names)
            assert guarded or rest == "tags", f"{verb}_{resource}:{rest} is never asked"


def test_every_route_has_a_rule_that_exists():
    rules = Policy(policy.RULES).rules
    for route in routes.ROUTES:
        assert route.rule.startswith("@") or route.rule in rules, route.path
