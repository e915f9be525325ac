# SPDX-License-Identifier: Apache-2.0
"""Discovery: which versions there are and where."""

from typing import Any

MINIMUM, MAXIMUM = (2, 1), (2, 96)
# v2.0 is what Nova has kept for the oldest clients: v2.1's first version by another path.
_UPDATED = {"v2.0": "2011-01-21T11:33:21Z", "v2.1": "2013-07-23T11:33:21Z"}
_LEGACY, _CURRENT = "v2.0", "v2.1"
_PATHS = {_LEGACY: "/v2", _CURRENT: "/v2.1"}


def version(base_url: str) -> dict[str, Any]:
    """The document of the version at `base_url`, which has no slash at its end."""
    id_ = _LEGACY if base_url.endswith(_PATHS[_LEGACY]) else _CURRENT
    media = id_.removeprefix("v").removesuffix(".0")
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    head = _head(id_, base_url)
    return head | {
        "links": [*head["links"], described],
        "media-types": [
            {
                "base": "application/json",
                "type": f"application/vnd.openstack.compute+json;version={media}",
            }
        ],
    }


def listed(root_url: str) -> dict[str, Any]:
    """The document above the versions."""
    return {"versions": [_head(id_, root_url + path) for id_, path in _PATHS.items()]}


def _head(id_: str, base_url: str) -> dict[str, Any]:
    current = id_ == _CURRENT
    return {
        "id": id_,
        "status": "CURRENT" if current else "SUPPORTED",
        "version": f"{MAXIMUM[0]}.{MAXIMUM[1]}" if current else "",
        "min_version": f"{MINIMUM[0]}.{MINIMUM[1]}" if current else "",
        "updated": _UPDATED[id_],
        "links": [{"rel": "self", "href": f"{base_url}/"}],
    }
