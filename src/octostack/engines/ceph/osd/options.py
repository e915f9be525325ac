# SPDX-License-Identifier: Apache-2.0
"""The options of an OSD: as declared, as the monitors say, as it is told directly."""

from collections.abc import Mapping

from octostack.engines.ceph.core.options import DECLARED
from octostack.engines.ceph.osd.core.allowance import OBJECTS_MAX


class Options:
    """What is told directly counts most, and is forgotten at the end of the process."""

    def __init__(self) -> None:
        self._defaults = {
            name: one.default for name, one in DECLARED.items() if "osd" in one.daemons
        }
        self._central: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def follow(self, central: Mapping[str, str]) -> None:
        """What the monitors say now, of which others' options are left alone."""
        self._central = {name: value for name, value in central.items() if name in self._defaults}

    def override(self, name: str, value: str | None) -> None:
        """Here only; None takes it back."""
        if value is None:
            self._told.pop(name, None)
        else:
            self._told[name] = value

    def find(self, name: str) -> str | None:
        """What holds now; None for an option that is none of ours."""
        return self.all().get(name)

    def all(self) -> dict[str, str]:
        """By name."""
        return dict(sorted((self._defaults | self._central | self._told).items()))

    @property
    def interval_s(self) -> float:
        """Between two heartbeats."""
        return self._seconds("osd_heartbeat_interval")

    @property
    def grace_s(self) -> float:
        """Of silence, until an OSD is suspected."""
        return self._seconds("osd_heartbeat_grace")

    @property
    def recovered(self) -> int:
        """Objects that may be under way in recovery."""
        return int(self._seconds("osd_recovery_max_active")) or OBJECTS_MAX

    def _seconds(self, name: str) -> float:
        try:
            return float(self._told.get(name) or self._central.get(name) or self._defaults[name])
        except ValueError:
            return float(self._defaults[name])

    def differences(self) -> dict[str, dict[str, str]]:
        """Of those that are not as declared: what says so."""
        layers = (("mon", self._central), ("override", self._told))
        found = {}
        for name, value in self.all().items():
            said = {layer: known[name] for layer, known in layers if name in known}
            if said:
                found[name] = {"default": self._defaults[name], **said, "final": value}
        return found
