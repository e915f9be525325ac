# SPDX-License-Identifier: Apache-2.0
"""Where a request fits: allocation candidates, straight from the world's columns.

A request is a set of groups. The unsuffixed group may be served by several providers of one tree
(and by sharing providers next to it); a suffixed group by exactly one. Every candidate belongs to
an *anchor*, the root of the tree it is made for. So the search goes anchor by anchor:

    1. bits: for each group, who could serve it or a part of it (`_Filter`, a few ANDs)
    2. anchors: which trees have something for every group
    3. for each anchor: the options of each group, and all combinations of them that keep the
       group policy, the same-subtree rule and the capacity when their amounts are added up

It stops at the limit; nothing is computed for anchors it does not reach. Where there are neither
trees nor sharing providers and just one group, step 3 is nothing and `_flat` answers.

The rules are those of openstack/placement (placement/objects/research_context.py and
allocation_candidate.py), found by reading it and by its own functional tests.
"""

import itertools
from collections.abc import Iterable, Iterator

import msgspec

from octostack.base.errors import Invalid
from octostack.contracts.placement import (
    Candidate,
    CandidateQuery,
    Candidates,
    ProviderSummary,
    RequestGroup,
)
from octostack.services.placement.core import standard
from octostack.services.placement.core.world import World, class_order, slots_of

COMBINATIONS_MAX = 200_000  # a query that makes more than this stops there, with what it has

Amounts = dict[tuple[int, str], int]  # (slot, resource class) → amount


class _Option(msgspec.Struct, frozen=True):
    """One way to serve one group: what to take from whom."""

    suffix: str
    amounts: tuple[tuple[int, str, int], ...]
    slots: tuple[int, ...]


def search(
    world: World, query: CandidateQuery, *, nested: bool = True, start: int = 0
) -> Candidates:
    """The candidates for `query`; empty when it fits nowhere.

    `nested` False hides combinations of several providers of one tree, for old callers. The walk
    begins at slot `start` and goes round, so a random `start` spreads load over equal hosts.
    Raises Invalid (``details["field"]`` "resources" or "required") for unknown names.
    """
    check_names(world, query)
    filters = [_Filter(world, group) for group in query.groups]
    anchors = _anchors(world, query, filters)
    if not anchors or not filters:
        return Candidates(candidates=(), summaries={})
    sharing = world.traits.get(standard.SHARING, 0)
    if len(filters) == 1 and not world.nested and not sharing:
        return _flat(world, query, anchors, start)
    found = _walk(_Search(world, query, filters, sharing), anchors, nested, start)
    picked = list(itertools.islice(found, query.limit or None))
    return _answer(world, picked, nested)


def providers_matching(world: World, group: RequestGroup) -> int:
    """Bits of the providers that alone have all that `group` asks. Raises Invalid."""
    check_names(world, CandidateQuery(groups=(group,)))
    return _Filter(world, group).alone()


def check_names(world: World, query: CandidateQuery) -> None:
    """Raise Invalid for a resource class or trait that does not exist."""
    wanted: set[str] = {*query.root_required, *query.root_forbidden}
    for group in query.groups:
        for name in group.resources:
            if not world.knows_class(name):
                raise Invalid(f"No such resource class {name}.", field="resources")
        wanted.update(*group.required, group.forbidden)
    unknown = sorted(name for name in wanted if not world.knows_trait(name))
    if unknown:
        raise Invalid(f"No such trait(s): {', '.join(unknown)}.", field="required")


class _Filter:
    """One group's conditions as sets of providers."""

    def __init__(self, world: World, group: RequestGroup) -> None:
        self.group = group
        self.required = [_any(world.traits, names) for names in group.required]
        self.allowed = world.everyone & ~_any(world.traits, group.forbidden)
        self.members = world.everyone
        for uuids in group.member_of:
            self.members &= _any(world.aggregates, uuids)
        self.outcasts = _any(world.aggregates, group.not_member_of)
        self.tree = world.everyone
        if group.in_tree is not None:
            slot = world.slot(group.in_tree)
            self.tree = 0 if slot is None else world.tree(world.root[slot])
        self.fits = {
            name: (world.amounts[name].fit(amount) & self.tree) if name in world.amounts else 0
            for name, amount in sorted(
                group.resources.items(), key=lambda item: class_order(item[0])
            )
        }

    def alone(self) -> int:
        """Who could serve the whole group by itself."""
        bits = self.allowed & self.members & ~self.outcasts & self.tree
        for required in self.required:
            bits &= required
        for fit in self.fits.values():
            bits &= fit
        return bits


def _any(column: dict[str, int], names: Iterable[str]) -> int:
    bits = 0
    for name in names:
        bits |= column.get(name, 0)
    return bits


def _roots(world: World, bits: int) -> int:
    """The roots of the trees that the providers stand in."""
    roots = bits & ~world.nested
    for slot in slots_of(bits & world.nested):
        roots |= 1 << world.root[slot]
    return roots


def _anchors(world: World, query: CandidateQuery, filters: list[_Filter]) -> int:
    """Roots of the trees where every group may find something."""
    anchors = world.everyone & ~world.nested
    for name in query.root_required:
        anchors &= world.traits.get(name, 0)
    anchors &= ~_any(world.traits, query.root_forbidden)
    sharing = world.traits.get(standard.SHARING, 0)
    for known in filters:
        if known.group.suffix:
            anchors &= _reach(world, known.alone(), sharing)
            continue
        for fit in known.fits.values():
            anchors &= _reach(world, fit, sharing)
        if not world.nested and not sharing:
            anchors &= known.alone()
    return anchors


def _reach(world: World, bits: int, sharing: int) -> int:
    """Roots of the trees that can use the providers: their own, and those they share with."""
    roots = _roots(world, bits)
    for slot in slots_of(bits & sharing):
        roots |= _roots(world, _any(world.aggregates, world.at(slot).aggregates))
    return roots


def _flat(world: World, query: CandidateQuery, anchors: int, start: int) -> Candidates:
    """One group, every provider a tree of its own: a candidate is a provider."""
    group = query.groups[0]
    slots = itertools.islice(slots_of(anchors, start), query.limit or None)
    candidates = []
    summaries: dict[str, ProviderSummary] = {}
    for slot in slots:
        summary = world.summary(slot)
        summaries[summary.id] = summary
        candidates.append(
            Candidate(
                root_id=summary.id,
                allocations={summary.id: group.resources} if group.resources else {},
                mappings={group.suffix: (summary.id,)},
            )
        )
    return Candidates(candidates=tuple(candidates), summaries=summaries)


class _Search:
    """The options for one anchor after the other."""

    def __init__(
        self, world: World, query: CandidateQuery, filters: list[_Filter], sharing: int
    ) -> None:
        self.world = world
        self.query = query
        self.sharing = sharing
        self._filters = filters
        self._alone = [f.alone() if f.group.suffix else 0 for f in filters]

    def options(self, anchor: int) -> list[list[_Option]]:
        """For each group the ways to serve it in the tree of `anchor`; empty lists end it."""
        tree = self.world.tree(anchor)
        shared = self._shared_with(tree)
        groups = []
        for known, alone in zip(self._filters, self._alone, strict=True):
            if known.group.suffix:
                options = self._one_each(known, alone & (tree | shared))
            else:
                options = self._spread(known, anchor, tree, shared)
            if not options:
                return []
            groups.append(options)
        return groups

    def _shared_with(self, tree: int) -> int:
        """The sharing providers in an aggregate with some member of the tree."""
        if not self.sharing:
            return 0
        shared = 0
        for slot in slots_of(tree):
            shared |= _any(self.world.aggregates, self.world.at(slot).aggregates) & self.sharing
        return shared

    def _one_each(self, known: _Filter, bits: int) -> list[_Option]:
        wanted = known.group.resources.items()
        return [
            _Option(known.group.suffix, tuple((slot, n, a) for n, a in wanted), (slot,))
            for slot in slots_of(bits)
        ]

    def _spread(self, known: _Filter, anchor: int, tree: int, shared: int) -> list[_Option]:
        """The unsuffixed group: each class from any provider of the tree or shared with it."""
        if known.outcasts >> anchor & 1:
            return []
        allowed = known.allowed & ~known.outcasts
        if known.group.in_tree is None:
            tree |= shared & known.members
        if not known.members >> anchor & 1:  # an aggregate of the root spans its tree
            allowed &= known.members
        places = []
        for name, fit in known.fits.items():
            slots = list(slots_of(fit & tree & allowed))
            if not slots:
                return []
            places.append([(slot, name, known.group.resources[name]) for slot in slots])
        options = []
        for parts in itertools.islice(itertools.product(*places), COMBINATIONS_MAX):
            slots = list(dict.fromkeys(slot for slot, _name, _amount in parts))
            bits = 0
            for slot in slots:
                bits |= 1 << slot
            if all(bits & required for required in known.required):
                options.append(_Option(known.group.suffix, parts, tuple(slots)))
        return options


def _walk(
    state: _Search, anchors: int, nested: bool, start: int
) -> Iterator[tuple[int, Amounts, dict[str, tuple[int, ...]]]]:
    """Every combination that holds, as (anchor, amounts, slots by suffix)."""
    seen: set[object] = set()
    tried = 0
    for anchor in slots_of(anchors, start):
        groups = state.options(anchor)
        if not groups:
            continue
        for chosen in _combine(state, groups):
            tried += 1
            if tried > COMBINATIONS_MAX:
                return
            amounts = _add_up(chosen)
            mappings = {option.suffix: option.slots for option in chosen}
            if not nested and _crowded(state.world, amounts):
                continue
            if state.sharing:  # one shared provider may serve alone, whatever the anchor
                key = (frozenset(amounts.items()), tuple(sorted(mappings.items())))
                if key in seen:
                    continue
                seen.add(key)
            yield anchor, amounts, mappings


def _combine(
    state: _Search, groups: list[list[_Option]], chosen: tuple[_Option, ...] = ()
) -> Iterator[tuple[_Option, ...]]:
    """One option of each group; a branch that breaks a rule is not followed."""
    if len(chosen) == len(groups):
        if all(_one_subtree(state.world, chosen, rule) for rule in state.query.same_subtree):
            yield chosen
        return
    for option in groups[len(chosen)]:
        branch = (*chosen, option)
        if _keeps_policy(state.query, branch) and _fits_together(state.world, branch):
            yield from _combine(state, groups, branch)


def _keeps_policy(query: CandidateQuery, chosen: tuple[_Option, ...]) -> bool:
    if query.group_policy != "isolate" or not chosen[-1].suffix:
        return True
    others = {slot for option in chosen[:-1] if option.suffix for slot in option.slots}
    return others.isdisjoint(chosen[-1].slots)


def _fits_together(world: World, chosen: tuple[_Option, ...]) -> bool:
    """Groups that take the same class from the same provider must fit both."""
    if len(chosen) == 1:
        return True
    return all(
        amount <= world.amounts[name].free[slot] and amount <= world.amounts[name].max_unit[slot]
        for (slot, name), amount in _add_up(chosen).items()
    )


def _add_up(chosen: tuple[_Option, ...]) -> Amounts:
    total: Amounts = {}
    for option in chosen:
        for slot, name, amount in option.amounts:
            total[slot, name] = total.get((slot, name), 0) + amount
    return total


def _one_subtree(world: World, chosen: tuple[_Option, ...], suffixes: tuple[str, ...]) -> bool:
    """One of the providers of these groups is an ancestor of all the others, or the same."""
    slots = {slot for option in chosen if option.suffix in suffixes for slot in option.slots}
    common: set[int] | None = None
    for slot in slots:
        line = {slot}
        at = slot
        while (at := world.parent[at]) >= 0:
            line.add(at)
        common = line if common is None else common & line
    return common is None or bool(common & slots)


def _crowded(world: World, amounts: Amounts) -> bool:
    """Several providers of one tree take part."""
    slots = {slot for slot, _name in amounts}
    return len({world.root[slot] for slot in slots}) < len(slots)


def _answer(
    world: World, found: list[tuple[int, Amounts, dict[str, tuple[int, ...]]]], nested: bool
) -> Candidates:
    candidates = []
    shown = 0
    for anchor, amounts, mappings in found:
        allocations: dict[str, dict[str, int]] = {}
        for (slot, name), amount in amounts.items():
            allocations.setdefault(world.at(slot).id, {})[name] = amount
            shown |= world.tree(world.root[slot]) if nested else 1 << slot
        candidates.append(
            Candidate(
                root_id=world.at(anchor).id,
                allocations=allocations,
                mappings={
                    suffix: tuple(sorted(world.at(slot).id for slot in slots))
                    for suffix, slots in mappings.items()
                },
            )
        )
    summaries = (world.summary(slot) for slot in slots_of(shown))
    return Candidates(candidates=tuple(candidates), summaries={s.id: s for s in summaries})
