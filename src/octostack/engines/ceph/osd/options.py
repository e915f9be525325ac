# SPDX-License-Identifier: Apache-2.0
"""The options of an OSD: as declared, as the monitors say, as it is told directly."""

from collections.abc import Callable, Mapping

from octostack.engines.ceph.core.options import DECLARED


class Options:
    """What is told directly counts most, and is forgotten at the end of the process.

    `changed` is called whenever something may be otherwise: whoever acts on an option does so at
    once, without a restart.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._defaults = {
            name: one.default for name, one in DECLARED.items() if "osd" in one.daemons
        }
        self._central: dict[str, str] = {}
        self._told: dict[str, str] = {}

    def follow(self, central: Mapping[str, str]) -> None:
        """What the monitors say now, of which others' options are left alone."""
        self._central = {name: value for name, value in central.items() if name in self._defaults}
        self._changed()

    def override(self, name: str, value: str | None) -> None:
        """Here only; None takes it back. Raises ValueError for what is no number where one is
        wanted."""
        if value is None:
            self._told.pop(name, None)
        else:
            self._told[name] = _checked(name, self._defaults[name], value)
        self._changed()

    def find(self, name: str) -> str | None:
        """What holds now; None for an option that is none of ours."""
        return self.all().get(name)

    def all(self) -> dict[str, str]:
        """By name."""
        return dict(sorted((self._defaults | self._central | self._told).items()))

    @property
    def told(self) -> Mapping[str, str]:
        """What is told directly."""
        return self._told

    @property
    def interval_s(self) -> float:
        """Between two heartbeats."""
        return self.number("osd_heartbeat_interval")

    @property
    def grace_s(self) -> float:
        """Of silence, until an OSD is suspected."""
        return self.number("osd_heartbeat_grace")

    def number(self, name: str) -> float:
        """An option as it holds now; what is no number counts as not set."""
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


def _checked(name: str, default: str, value: str) -> str:
    """The value, if it is one for an option with that default."""
    try:
        float(default)
    except ValueError:
        return value
    try:
        found = float(value)
    except ValueError:
        raise ValueError(f"error setting '{name}' to '{value}': (22) Invalid argument") from None
    return f"{found:f}" if "." in default else value
