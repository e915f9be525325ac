# SPDX-License-Identifier: Apache-2.0
"""Weight sets: draws use them in place of the items' own weights (`osd crush weight-set`).

One set serves all pools that have none of their own (`DEFAULT_CHOOSE_ARGS`, the "compat" one that
old clients get as plain weights); others are for one pool. A set has a row for each place, or one.
"""

from collections.abc import Sequence

from octostack.base.errors import Conflict, Invalid, NotFound
from octostack.engines.ceph.core.crush import names
from octostack.engines.ceph.core.crush.draft import Draft, positions
from octostack.wire.ceph.maps.crush import ChooseArg, CrushMap


def create(crush: CrushMap, number: int, places: int = 1) -> CrushMap:
    """A set with the items' own weights, in `places` rows. Raises Conflict when there is one."""
    if number in crush.choose_args:
        raise Conflict(f"weight-set {number} already exists", code="crush.weight_set")
    if places < 1:
        raise Invalid("A weight set has a row at least", code="crush.weight_set")
    draft = Draft(crush)
    draft.choose_args[number] = {
        bucket.id: ChooseArg((bucket.weights,) * places) for bucket in draft.all()
    }
    return draft.done()


def remove(crush: CrushMap, number: int) -> CrushMap:
    """Without this set."""
    draft = Draft(crush)
    draft.choose_args.pop(number, None)
    return draft.done()


def reweight(crush: CrushMap, number: int, name: str, weights: Sequence[int]) -> CrushMap:
    """Another weight for an item in each row of a set, and new sums above it."""
    draft = Draft(crush)
    args = draft.choose_args.get(number)
    if args is None:
        raise NotFound(f"weight-set {number} does not exist", code="crush.weight_set")
    if len(weights) != positions(args):
        message = f"must specify exact {positions(args)} weight values"
        raise Invalid(message, code="crush.weight_set")
    item = names.get_item(crush, name)
    if not draft.parents(item):
        raise NotFound(f"item {name} is in no bucket", code="crush.item")
    draft.adjust_sets(args, item, weights)
    return draft.done()
