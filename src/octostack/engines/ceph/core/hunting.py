# SPDX-License-Identifier: Apache-2.0
"""How long who looks for a monitor waits for whom, by the numbers of Ceph's MonClient.

All monitors are tried one after the other. One that refuses costs nothing; for one that is silent
there is less hurry each time. When none of them let us in, all are tried again after a pause.
"""

from typing import Final

INTERVAL_S: Final = 3.0  # mon_client_hunt_interval
PING_INTERVAL_S: Final = 10.0  # mon_client_ping_interval
PING_TIMEOUT_S: Final = 30.0  # mon_client_ping_timeout
_BACKOFF: Final = 1.5  # mon_client_hunt_interval_backoff
_FACTOR_MAX: Final = 10.0  # mon_client_hunt_interval_max_multiple
_PAUSE_S: Final = 0.2  # nobody listens while a monitor restarts: it may be there at once


class Hunt:
    """One search after the other."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._factor = 1.0
        self._pause_s = min(_PAUSE_S, interval_s)

    @property
    def patience_s(self) -> float:
        """For a monitor that has yet to let us in."""
        return self._interval_s * self._factor

    def was_silent(self) -> None:
        """It did not, in that time."""
        self._factor = min(self._factor * _BACKOFF, _FACTOR_MAX)

    def next_pause_s(self) -> float:
        """Before all are tried again, as none let us in."""
        pause_s = self._pause_s
        self._pause_s = min(pause_s * _BACKOFF, self._interval_s)
        return pause_s

    def found(self) -> None:
        """A monitor let us in: the next search begins in a hurry again."""
        self._factor = 1.0
        self._pause_s = min(_PAUSE_S, self._interval_s)
