# SPDX-License-Identifier: Apache-2.0
"""Whether an object's shards fit together, and which do not, from their digests alone."""

from collections.abc import Mapping
from itertools import combinations

from octostack.engines.ceph.core.codes.code import Code

_TRIES = 2_000


def list_odd(code: Code, digests: Mapping[int, bytes]) -> frozenset[int]:
    """The fewest shards without which all others fit, given `codes.digest` of each; all of them
    when nobody can tell. Of k shards or fewer, anything is right."""
    tries = 0
    for count in range(len(digests) - code.k):
        for odd in combinations(sorted(digests), count):
            tries += 1
            if tries > _TRIES:
                return frozenset(digests)
            if _fit(code, {n: one for n, one in digests.items() if n not in odd}):
                return frozenset(odd)
    return frozenset(digests) if len(digests) > code.k else frozenset()


def _fit(code: Code, digests: Mapping[int, bytes]) -> bool:
    first = sorted(digests)[: code.k]
    made = code.decode({n: digests[n] for n in first}, sorted(digests))
    return made == digests
