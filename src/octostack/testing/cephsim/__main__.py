# SPDX-License-Identifier: Apache-2.0
"""Lives of simulated clusters: ``PYTHONHASHSEED=0 python -m octostack.testing.cephsim SEED...``.

Prints a line for each seed, and for the first that fails what happened and how to see it again.
With ``--careless`` before the seeds, disks lose what they said was durable: that must be found.
``--many COUNT [JOBS [FIRST]]``: so many, over all cores.
"""

import os
import sys

import msgspec

from octostack.testing.cephsim import cluster, life, many


def main() -> int:
    """0, or 1 after a seed that failed."""
    if sys.argv[1:2] == ["--many"]:
        return many.main(sys.argv[2:])
    if os.environ.get("PYTHONHASHSEED") != "0":
        sys.stderr.write("PYTHONHASHSEED=0, please: else a seed is not the same every time\n")
        return 2
    careless = sys.argv[1:2] == ["--careless"]
    for seed in map(int, sys.argv[1 + careless :]):
        plan = msgspec.structs.replace(cluster.draw(seed), careless=careless)
        try:
            sys.stdout.write(f"seed {seed}: {life.live(seed, plan)} operations\n")
        except BaseException as error:
            error.add_note(f"again: {many.line_for(seed)}")
            raise
    return 0


sys.exit(main())
