# SPDX-License-Identifier: Apache-2.0
"""Names of the states of placement groups."""

import pytest

from octostack.engines.ceph.core import pgs
from octostack.engines.ceph.core.pgs import PGState


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (PGState.CLEAN | PGState.ACTIVE, "active+clean"),
        (PGState.ACTIVE | PGState.DEGRADED | PGState.UNDERSIZED, "active+undersized+degraded"),
        (PGState.ACTIVE | PGState.CLEAN | PGState.SCRUBBING | PGState.DEEP_SCRUB,
         "active+clean+scrubbing+deep"),
        (PGState.STALE | PGState.PEERING, "stale+peering"),
        (0, "unknown"),
    ],
)  # fmt: skip
def test_names_are_put_together_in_cephs_order(state: int, name: str) -> None:
    assert pgs.state_name(state) == name
    assert state == 0 or pgs.find_state(name) == state


def test_every_state_has_a_name() -> None:
    names = [pgs.state_name(state) for state in PGState]
    assert len(set(names)) == len(names)
    assert "unknown" not in names
    assert pgs.find_state("active+nonsense") is None
