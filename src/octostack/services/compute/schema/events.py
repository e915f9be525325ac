# SPDX-License-Identifier: Apache-2.0
"""External events in."""

from typing import Any

from octostack.runtime.http import versions
from octostack.services.compute.schema import terms

_NAMES = ["network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted"]


def _create(names: list[str]) -> Any:
    event = terms.whole(
        {
            "server_uuid": terms.UUID,
            "name": {"type": "string", "enum": names},
            "status": {"type": "string", "enum": ["failed", "completed", "in-progress"]},
            "tag": {"type": "string", "maxLength": 255},
        },
        ["server_uuid", "name"],
    )
    return terms.compiled(
        terms.whole({"events": {"type": "array", "minItems": 1, "items": event}}, ["events"])
    )


CREATE = versions(
    (
        "2.93",
        _create([*_NAMES, "volume-extended", "power-update", "accelerator-request-bound",
                 "volume-reimaged"]),
    ),
    ("2.82", _create([*_NAMES, "volume-extended", "power-update", "accelerator-request-bound"])),
    ("2.76", _create([*_NAMES, "volume-extended", "power-update"])),
    ("2.51", _create([*_NAMES, "volume-extended"])),
    ("2.1", _create(_NAMES)),
)  # fmt: skip
