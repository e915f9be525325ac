# SPDX-License-Identifier: Apache-2.0
"""How often an OSD was taken for dead while it lived: too often, and it ends itself.

Such an OSD costs more than one that is gone: its groups agree anew each time.
"""

from collections import deque
from typing import Final

from octostack.engines.ceph.osd.options import Options

_COUNT, _PERIOD_S = "osd_max_markdown_count", "osd_max_markdown_period"
DEBUG, INFO, WARN = 0, 1, 3  # priorities of the cluster's log
_KEPT: Final = 1000


class Markdowns:
    """When each was, by a monotonic clock."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=_KEPT)

    def note(self, now: float) -> None:
        """It happened again."""
        self._at.append(now)

    def find_excess(self, now: float, options: Options) -> str:
        """Why that is too often; empty when it is not."""
        most, period_s = int(options.find(_COUNT) or 0), float(options.find(_PERIOD_S) or 0)
        while self._at and self._at[0] < now - period_s:
            self._at.popleft()
        count = len(self._at)
        if count <= most:
            return ""
        return f"marked down {count} > {_COUNT} {most} in last {period_s:.6f} seconds"
