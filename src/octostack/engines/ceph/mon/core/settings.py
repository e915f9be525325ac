# SPDX-License-Identifier: Apache-2.0
"""The central configuration: options by section, and which of them an entity sees."""

from collections.abc import Mapping
from typing import Final

from octostack.engines.ceph.core.options import DECLARED
from octostack.engines.ceph.mon.core import modules

DEFAULTS: Final = {name: known.default for name, known in DECLARED.items()} | {
    f"mgr/{module.name}/{option.name}": option.default.lower()
    for module in modules.AVAILABLE
    for option in module.options.values()
}
TOLD: Final = "told"  # a section that is nobody's name: what a daemon was told directly
_TRUE: Final = frozenset({"true", "yes", "1"})

Config = Mapping[str, Mapping[str, str]]


def option_name(text: str) -> str:
    """Options are written with blanks, dashes or underscores."""
    return text.strip().replace(" ", "_").replace("-", "_")


def sections(entity: str) -> tuple[str, ...]:
    """Those that hold for ``osd.3``, the weakest first."""
    return "global", entity.partition(".")[0], entity


def effective(config: Config, entity: str) -> dict[str, str]:
    """All that is set for the entity."""
    found: dict[str, str] = {}
    for section in (*sections(entity), TOLD):
        found |= config.get(section, {})
    return found


def text_of(config: Config, name: str, entity: str = "mon") -> str:
    """An option of DEFAULTS as it holds now."""
    return effective(config, entity).get(name, DEFAULTS[name])


def number_of(config: Config, name: str) -> int:
    """The same as a number; a flag is 1 or 0."""
    text = text_of(config, name, "mgr" if name.startswith("mgr/") else "mon").lower()
    if text in _TRUE:
        return 1
    return int(text) if text.isdigit() else 0
