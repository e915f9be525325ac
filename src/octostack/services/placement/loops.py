# SPDX-License-Identifier: Apache-2.0
"""What Placement does by itself."""

from octostack.runtime.loop import Loop
from octostack.services.placement.store.ledger import TOMBSTONE_AGE_S, Ledger


def loops(ledger: Ledger) -> list[Loop]:
    """Forgetting of removals that nobody asks for any more."""
    return [Loop("placement.prune", ledger.prune, every_s=TOMBSTONE_AGE_S / 2)]
