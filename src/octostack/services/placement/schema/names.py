# SPDX-License-Identifier: Apache-2.0
"""Traits, resource classes and aggregates."""

from octostack.runtime.http import versions
from octostack.services.placement.schema.parts import (
    CUSTOM_NAME,
    GENERATION,
    UUID,
    body,
    closed,
    query,
)

CLASS = body(
    closed({"name": {"type": "string", "pattern": CUSTOM_NAME, "maxLength": 255}}, ("name",))
)
TRAITS_LIST = query({"name": {"type": "string"}, "associated": {"type": "string"}})
PROVIDER_TRAITS = body(
    closed(
        {
            "traits": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 255},
            },
            "resource_provider_generation": GENERATION,
        },
        ("traits", "resource_provider_generation"),
    )
)
_UUIDS = {"type": "array", "items": UUID, "uniqueItems": True}
AGGREGATES = versions(
    (
        "1.19",
        body(
            closed(
                {"aggregates": _UUIDS, "resource_provider_generation": GENERATION},
                ("aggregates", "resource_provider_generation"),
            )
        ),
    ),
    ("1.1", body(_UUIDS)),
)
