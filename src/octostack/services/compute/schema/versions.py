# SPDX-License-Identifier: Apache-2.0
"""Discovery: which versions there are and where."""

from typing import Any

MINIMUM, MAXIMUM = (2, 1), (2, 96)
_UPDATED = "2013-07-23T11:33:21Z"
_MEDIA_TYPES = [
    {
        "base": "application/json",
        "type": "application/vnd.openstack.compute+json;version=2.1",
    }
]


def version(base_url: str) -> dict[str, Any]:
    """The document of v2.1; `base_url` without a slash at the end."""
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": f"{MAXIMUM[0]}.{MAXIMUM[1]}",
        "min_version": f"{MINIMUM[0]}.{MINIMUM[1]}",
        "updated": _UPDATED,
        "links": [
            {"rel": "self", "href": f"{base_url}/"},
            {
                "rel": "describedby",
                "type": "text/html",
                "href": "http://docs.openstack.org/",
            },
        ],
        "media-types": _MEDIA_TYPES,
    }


def listed(base_url: str) -> dict[str, Any]:
    """The document above the versions."""
    whole = version(base_url)
    del whole["media-types"]
    whole["links"] = whole["links"][:1]
    return {"versions": [whole]}
