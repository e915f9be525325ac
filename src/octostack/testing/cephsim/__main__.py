# SPDX-License-Identifier: Apache-2.0
"""Lives of simulated clusters: ``PYTHONHASHSEED=0 python -m octostack.testing.cephsim SEED...``.

Prints a line for each seed, and for the first that fails what happened and how to see it again.
"""

import os
import sys

from octostack.testing.cephsim import life


def main() -> int:
    """0, or 1 after a seed that failed."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        sys.stderr.write("PYTHONHASHSEED=0, please: else a seed is not the same every time\n")
        return 2
    for seed in map(int, sys.argv[1:]):
        again = f"PYTHONHASHSEED=0 python -m octostack.testing.cephsim {seed}"
        try:
            sys.stdout.write(f"seed {seed}: {life.live(seed)} operations\n")
        except BaseException as error:
            error.add_note(f"again: {again}")
            raise
    return 0


sys.exit(main())
