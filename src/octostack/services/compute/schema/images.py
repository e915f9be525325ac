# SPDX-License-Identifier: Apache-2.0
"""Images as Compute showed them up to 2.35, out of what Image shows of them."""

from collections.abc import Mapping
from typing import Any

from octostack.runtime.http import Request
from octostack.services.compute.schema import terms

METADATA = terms.body("metadata", terms.METADATA)
META = terms.body("meta", {**terms.METADATA, "minProperties": 1, "maxProperties": 1})

# What Image shows that is not one of the image's own properties.
_ATTRIBUTES = frozenset((
    "id", "name", "status", "owner", "visibility", "disk_format", "container_format", "size",
    "virtual_size", "min_disk", "min_ram", "protected", "os_hidden", "checksum", "os_hash_algo",
    "os_hash_value", "created_at", "updated_at", "tags", "self", "file", "schema", "stores",
    "locations", "direct_url",
))  # fmt: skip
_STATUS = {"active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "importing": "SAVING",
           "uploading": "SAVING", "killed": "ERROR", "deleted": "DELETED",
           "pending_delete": "DELETED"}  # fmt: skip
_PROGRESS = {"queued": 25, "saving": 50, "active": 100}
_FILTERS = {"name": "name", "server": "instance_uuid", "type": "image_type", "minRam": "min_ram",
            "minDisk": "min_disk"}  # fmt: skip


def properties(image: dict[str, Any]) -> dict[str, str]:
    """The image's own properties: what Compute called its metadata."""
    return {k: v for k, v in image.items() if k not in _ATTRIBUTES}


def filters(query: Mapping[str, str]) -> dict[str, str]:
    """A list's filters, in the words of Image."""
    found = {k.removeprefix("property-"): v for k, v in query.items() if k.startswith("property-")}
    found |= {_FILTERS[k]: v for k, v in query.items() if k in _FILTERS}
    if "instance_uuid" in found:  # a server is named by its id or by its address
        found["instance_uuid"] = found["instance_uuid"].rsplit("/", 1)[-1]
    if "status" in query:
        found["status"] = query["status"].lower()
    if "changes-since" in query:
        found["updated_at"] = f"gte:{query['changes-since']}"
    return found


def basic(image: dict[str, Any], req: Request) -> dict[str, Any]:
    """The short form."""
    id_ = image["id"]
    other = {
        "rel": "alternate",
        "type": "application/vnd.openstack.image",
        "href": f"{req.host_url}/image/v2/images/{id_}",
    }
    return {"id": id_, "name": image["name"], "links": [*_links(req, "images", id_), other]}


def whole(image: dict[str, Any], req: Request) -> dict[str, Any]:
    """The long form."""
    metadata = properties(image)
    view = basic(image, req) | {
        "status": _STATUS.get(image["status"], "UNKNOWN"),
        "progress": _PROGRESS.get(image["status"], 0),
        "minDisk": image["min_disk"],
        "minRam": image["min_ram"],
        "metadata": metadata,
        "created": image["created_at"],
        "updated": image["updated_at"],
        "OS-EXT-IMG-SIZE:size": image["size"] or 0,
    }
    if "auto_disk_config" in metadata:
        auto = terms.truth(metadata["auto_disk_config"])
        view["OS-DCF:diskConfig"] = "AUTO" if auto else "MANUAL"
    server_id = metadata.get("instance_uuid")
    if server_id:
        view["server"] = {"id": server_id, "links": _links(req, "servers", server_id)}
    return view


def _links(req: Request, kind: str, id_: str) -> list[dict[str, str]]:
    root = req.base_url.rsplit("/v2", 1)[0]
    return [
        {"rel": "self", "href": f"{req.base_url}/{kind}/{id_}"},
        {"rel": "bookmark", "href": f"{root}/{kind}/{id_}"},
    ]
