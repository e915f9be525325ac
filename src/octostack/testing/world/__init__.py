# SPDX-License-Identifier: Apache-2.0
"""A whole cloud with one of everything in it, and a right request for every route there is.

The tables say, as data, how each thing is made (`Thing`) and what a right body looks like. In
them ``{name}`` is the id of the thing of that name, made when it is first asked for; ``{new}`` is
a name nobody has, ``{uuid}`` an id nobody has. A suite that goes over all routes (who may; what
happens to wrong input) takes its requests from here, so a new route needs its line only once.
"""

from octostack.testing.world.requests import PREFIXES, Case, cases
from octostack.testing.world.world import PERSONAS, World, opened

__all__ = ["PERSONAS", "PREFIXES", "Case", "World", "cases", "opened"]
