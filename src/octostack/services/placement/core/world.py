# SPDX-License-Identifier: Apache-2.0
"""The inventory of the whole cloud in memory, column by column.

Every provider has a small number, its *slot*. A set of providers is one Python integer with a bit
per slot, so "has trait X and is in aggregate Y and has room for 4 VCPU" is two ANDs, whatever the
number of hosts. Three kinds of columns:

    traits, aggregates   name → bits of the providers that have it
    trees                slot of a root → bits of its tree
    amounts              per resource class: free, min, max and step by slot, and for every amount
                         asked lately the bits of the providers where it fits

The last one is what makes scheduling cheap: flavors are few, so the same amounts are asked again
and again; an answer is computed once by a walk over all slots and from then on every change of a
provider corrects its one bit. Nothing is recomputed per request.

The world knows nothing of a database. `store.ledger` feeds it, in the order of `ProviderState.seq`.
"""

from array import array
from collections.abc import Iterable, Iterator

from octostack.contracts.placement import Inventory, ProviderSummary, Usage
from octostack.services.placement.core import standard
from octostack.services.placement.model import CustomName, ProviderState

AMOUNTS_KEPT_MAX = 64  # distinct amounts per class whose answer is kept
INT_MAX = (1 << 62) - 1  # what a column's cell can hold, with room to add


def capacity_of(inventory: Inventory) -> int:
    """Whole units that may be given out."""
    return int(min((inventory.total - inventory.reserved) * inventory.allocation_ratio, INT_MAX))


def class_order(name: str) -> tuple[int, str]:
    """Sorts resource classes: the standard ones in their order, then the custom ones."""
    return standard.CLASS_ORDER.get(name, len(standard.CLASS_ORDER)), name


def trait_order(name: str) -> tuple[bool, str]:
    """Sorts traits: the standard ones, then the custom ones."""
    return name not in standard.TRAITS, name


def slots_of(bits: int, start: int = 0) -> Iterator[int]:
    """The slots in a set, from `start` upwards and then round from the lowest."""
    text = bin(bits)[:1:-1]
    at = text.find("1", start)
    while at >= 0:
        yield at
        at = text.find("1", at + 1)
    at = text.find("1", 0, start)
    while at >= 0:
        yield at
        at = text.find("1", at + 1, start)


class Amounts:
    """The columns of one resource class."""

    def __init__(self) -> None:
        self.free = array("q")
        self.min_unit = array("q")
        self.max_unit = array("q")
        self.step = array("q")
        self.stocked = 0  # bits of the providers with an inventory of this class
        self._fits: dict[int, int] = {}

    def fit(self, amount: int) -> int:
        """The providers that could give `amount` now."""
        bits = self._fits.get(amount)
        if bits is None:
            bits = 0
            for slot in slots_of(self.stocked):
                if self._fits_at(slot, amount):
                    bits |= 1 << slot
            if len(self._fits) >= AMOUNTS_KEPT_MAX:
                del self._fits[next(iter(self._fits))]
            self._fits[amount] = bits
        return bits

    def set(self, slot: int, inventory: Inventory, used: int) -> None:
        """The provider in `slot` has this inventory, of which `used` is given out."""
        while len(self.free) <= slot:
            for column in (self.free, self.min_unit, self.max_unit, self.step):
                column.append(0)
        self.free[slot] = max(capacity_of(inventory) - used, -INT_MAX)
        self.min_unit[slot] = inventory.min_unit
        self.max_unit[slot] = inventory.max_unit
        self.step[slot] = inventory.step_size
        self.stocked |= 1 << slot
        self._correct(slot)

    def clear(self, slot: int) -> None:
        """The provider in `slot` has none of this class any more."""
        bit = 1 << slot
        self.stocked &= ~bit
        for amount, bits in self._fits.items():
            self._fits[amount] = bits & ~bit

    def _correct(self, slot: int) -> None:
        bit = 1 << slot
        for amount, bits in self._fits.items():
            if self._fits_at(slot, amount):
                self._fits[amount] = bits | bit
            elif bits & bit:
                self._fits[amount] = bits & ~bit

    def _fits_at(self, slot: int, amount: int) -> bool:
        return (
            amount <= self.free[slot]
            and self.min_unit[slot] <= amount <= self.max_unit[slot]
            and amount % self.step[slot] == 0
        )


class World:
    """Every provider, and the columns that answer questions about all of them."""

    def __init__(self) -> None:
        self.seq = 0
        self.names_seq = 0
        self.parent: list[int] = []  # by slot; -1: none
        self.root: list[int] = []
        self.nested = 0  # providers with a parent
        self.everyone = 0
        self.traits: dict[str, int] = {}
        self.aggregates: dict[str, int] = {}
        self.amounts: dict[str, Amounts] = {}
        self.custom: dict[tuple[str, str], CustomName] = {}
        self._states: list[ProviderState | None] = []
        self._summaries: list[ProviderSummary | None] = []
        self._slots: dict[str, int] = {}
        self._by_name: dict[str, str] = {}
        self._trees: dict[int, int] = {}
        self._free_slots: list[int] = []

    # names

    def set_names(self, names: Iterable[CustomName]) -> None:
        """These are all the custom traits and classes there are."""
        self.custom = {(n.kind, n.name): n for n in names}

    def knows_trait(self, name: str) -> bool:
        """True for a standard trait and for a custom one that was made."""
        return name in standard.TRAITS or ("trait", name) in self.custom

    def knows_class(self, name: str) -> bool:
        """True for a standard resource class and for a custom one that was made."""
        return name in standard.CLASS_ORDER or ("class", name) in self.custom

    # providers

    def __len__(self) -> int:
        return len(self._slots)

    def find(self, provider_id: str) -> ProviderState | None:
        """The provider of that id."""
        slot = self._slots.get(provider_id)
        return None if slot is None else self._states[slot]

    def find_name(self, name: str) -> ProviderState | None:
        """The provider of that name."""
        provider_id = self._by_name.get(name)
        return None if provider_id is None else self.find(provider_id)

    def slot(self, provider_id: str) -> int | None:
        """Where the provider stands in the columns."""
        return self._slots.get(provider_id)

    def at(self, slot: int) -> ProviderState:
        """The provider in `slot`, which must be taken."""
        state = self._states[slot]
        assert state is not None
        return state

    def tree(self, root_slot: int) -> int:
        """The providers of the tree under `root_slot`, itself included."""
        return self._trees.get(root_slot, 1 << root_slot)

    def all(self) -> list[ProviderState]:
        """Every provider."""
        return [self.at(slot) for slot in slots_of(self.everyone)]

    def children(self, provider_id: str) -> list[ProviderState]:
        """The providers right below this one."""
        slot = self._slots[provider_id]
        tree = self.tree(self.root[slot])
        return [self.at(s) for s in slots_of(tree) if self.parent[s] == slot]

    def having(self, resource_class: str) -> list[ProviderState]:
        """The providers with an inventory of this class."""
        amounts = self.amounts.get(resource_class)
        return [self.at(slot) for slot in slots_of(amounts.stocked)] if amounts else []

    def summary(self, slot: int) -> ProviderSummary:
        """What a candidate list says of the provider in `slot`."""
        known = self._summaries[slot]
        if known is None:
            state = self.at(slot)
            known = ProviderSummary(
                id=state.id,
                root_id=state.root_id,
                parent_id=state.parent_id,
                resources={
                    name: Usage(capacity=capacity_of(stock.inventory), used=state.used.get(name, 0))
                    for name, stock in state.stocks.items()
                },
                traits=tuple(sorted(state.traits, key=trait_order)),
            )
            self._summaries[slot] = known
        return known

    def put(self, states: Iterable[ProviderState]) -> None:
        """These providers are so now; states older than what is known are passed over."""
        fresh = []
        for state in states:
            known = self.find(state.id)
            if known is None or known.seq <= state.seq:
                self._place(state)
                fresh.append(state)
        for state in fresh:  # after all have slots: a parent may come after its child
            self._link(state)

    def drop(self, provider_id: str, seq: int) -> None:
        """The provider is gone since change `seq`."""
        slot = self._slots.get(provider_id)
        if slot is None or self.at(slot).seq > seq:
            return
        self._unlink(slot)
        state = self.at(slot)
        self._replace_sets(slot, state, None)
        self.everyone &= ~(1 << slot)
        self._states[slot] = self._summaries[slot] = None
        del self._slots[provider_id]
        if self._by_name.get(state.name) == provider_id:
            del self._by_name[state.name]
        self._free_slots.append(slot)

    # inside

    def _place(self, state: ProviderState) -> None:
        slot = self._slots.get(state.id)
        before = None
        if slot is None:
            slot = self._take_slot()
            self._slots[state.id] = slot
            self.everyone |= 1 << slot
        else:
            before = self.at(slot)
            if self._by_name.get(before.name) == state.id:
                del self._by_name[before.name]
        self._by_name[state.name] = state.id
        self._states[slot] = state
        self._summaries[slot] = None
        self._replace_sets(slot, before, state)

    def _take_slot(self) -> int:
        if self._free_slots:
            return self._free_slots.pop()
        self._states.append(None)
        self._summaries.append(None)
        self.parent.append(-1)
        self.root.append(len(self.root))
        return len(self._states) - 1

    def _replace_sets(
        self, slot: int, before: ProviderState | None, after: ProviderState | None
    ) -> None:
        nothing: frozenset[str] = frozenset()
        for column, old, new in (
            (
                self.traits,
                before.traits if before else nothing,
                after.traits if after else nothing,
            ),
            (
                self.aggregates,
                before.aggregates if before else nothing,
                after.aggregates if after else nothing,
            ),
        ):
            _replace_bits(column, 1 << slot, old, new)
        stocks = after.stocks if after else {}
        for name in before.stocks if before else ():
            if name not in stocks:
                self.amounts[name].clear(slot)
        for name, stock in stocks.items():
            if name not in self.amounts:
                self.amounts[name] = Amounts()
            assert after is not None
            self.amounts[name].set(slot, stock.inventory, after.used.get(name, 0))

    def _link(self, state: ProviderState) -> None:
        slot = self._slots[state.id]
        self._unlink(slot)
        root = self._slots.get(state.root_id, slot)
        self.root[slot] = root
        self.parent[slot] = self._slots.get(state.parent_id, -1) if state.parent_id else -1
        if state.parent_id:
            self.nested |= 1 << slot
        if root != slot or root in self._trees:
            self._trees[root] = self.tree(root) | 1 << slot

    def _unlink(self, slot: int) -> None:
        root = self.root[slot]
        if root != slot:
            left = self.tree(root) & ~(1 << slot)
            if left == 1 << root:
                self._trees.pop(root, None)
            else:
                self._trees[root] = left
        self.nested &= ~(1 << slot)
        self.parent[slot] = -1
        self.root[slot] = slot


def _replace_bits(
    column: dict[str, int], bit: int, old: frozenset[str], new: frozenset[str]
) -> None:
    for name in old - new:
        bits = column[name] & ~bit
        if bits:
            column[name] = bits
        else:
            del column[name]
    for name in new - old:
        column[name] = column.get(name, 0) | bit
