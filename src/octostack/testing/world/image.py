# SPDX-License-Identifier: Apache-2.0
"""The Image API's things and bodies."""

from typing import Any

from octostack.testing.world.thing import Thing

PREFIX = "/image"
_IMAGES, _SPACES = "/image/v2/images", "/image/v2/metadefs/namespaces"
_NEW = {"name": "{new}", "disk_format": "raw", "container_format": "bare"}
_DATA = b"\0" * 1024
_SPACE = {"namespace": "{new}", "visibility": "public"}
_OBJECT = {"name": "{new}", "properties": {}}
_PROPERTY = {"name": "{new}", "title": "Title", "type": "string"}


def _in_space(kind: str, body: Any) -> Thing:
    return Thing(f"POST {_SPACES}/{{namespace}}/{kind}", body, "name", "admin")


THINGS = {
    "store": Thing("GET /image/v2/info/stores", take="stores.0.id"),
    "image": Thing(f"POST {_IMAGES}", _NEW, "id", then=((f"PUT {_IMAGES}/{{self}}/file", _DATA),)),
    "queued_image": Thing(f"POST {_IMAGES}", _NEW, "id"),
    "staged_image": Thing(f"POST {_IMAGES}", _NEW, "id",
                          then=((f"PUT {_IMAGES}/{{self}}/stage", _DATA),)),
    "shared_image": Thing(
        f"POST {_IMAGES}", _NEW, "id", then=((f"PUT {_IMAGES}/{{self}}/file", _DATA),)),
    "member_id": Thing(f"POST {_IMAGES}/{{shared_image}}/members", {"member": "{other_project}"},
                       "member_id"),
    "tag": Thing(f"PUT {_IMAGES}/{{image}}/tags/red"),
    "task": Thing(f"GET {_IMAGES}/{{imported_image}}/tasks", take="tasks.0.id"),
    "imported_image": Thing(
        f"POST {_IMAGES}", _NEW, "id",
        then=((f"PUT {_IMAGES}/{{self}}/stage", _DATA),
              (f"POST {_IMAGES}/{{self}}/import", {"method": {"name": "glance-direct"}}))),
    "namespace": Thing(f"POST {_SPACES}", _SPACE, "namespace", "admin"),
    "objects.name": _in_space("objects", _OBJECT),
    "properties.name": _in_space("properties", _PROPERTY),
    "tags.name": Thing(f"POST {_SPACES}/{{namespace}}/tags/{{new}}", None, "name", "admin"),
    "resource_types.name": _in_space("resource_types", {"name": "OS::Nova::Server"}),
}  # fmt: skip

PARAMS = {
    "store_id": "{store}",
    "task_id": "{task}",
    "images.tag": "{tag}",
    **{
        f"{method} /v2/images/{{image_id}}/members/{{member_id}}.image_id": "{shared_image}"
        for method in ("GET", "PUT", "DELETE")
    },
    "PUT /v2/images/{image_id}/file.image_id": "{queued_image}",
    "PUT /v2/images/{image_id}/stage.image_id": "{queued_image}",
    "POST /v2/images/{image_id}/import.image_id": "{staged_image}",
    "POST /v2/metadefs/namespaces/{namespace}/tags/{name}.name": "{new}",
}
_S = "/v2/metadefs/namespaces/{namespace}"
BODIES: dict[str, Any] = {
    "POST /v2/images": _NEW,
    "PATCH /v2/images/{image_id}": [{"op": "replace", "path": "/name", "value": "{new}"}],
    "PUT /v2/images/{image_id}/file": _DATA,
    "PUT /v2/images/{image_id}/stage": _DATA,
    "POST /v2/images/{image_id}/import": {"method": {"name": "glance-direct"}},
    "POST /v2/images/{image_id}/members": {"member": "{uuid}"},
    "PUT /v2/images/{image_id}/members/{member_id}": {"status": "accepted"},
    "POST /v2/metadefs/namespaces": _SPACE,
    "PUT /v2/metadefs/namespaces/{namespace}": {"namespace": "{namespace}", "visibility": "public"},
    f"POST {_S}/objects": _OBJECT,
    f"PUT {_S}/objects/{{name}}": {"name": "{objects.name}", "description": "new"},
    f"POST {_S}/properties": _PROPERTY,
    f"PUT {_S}/properties/{{name}}": _PROPERTY | {"name": "{properties.name}"},
    f"POST {_S}/tags": {"tags": [{"name": "{new}"}]},
    f"PUT {_S}/tags/{{name}}": {"name": "{tags.name}"},
    f"POST {_S}/resource_types": {"name": "OS::Glance::Image"},
}
HEADERS = {
    "PATCH /v2/images/{image_id}": {"content-type": "application/openstack-images-v2.1-json-patch"}
}
USES_UP = (
    "PUT /v2/images/{image_id}/file",
    "PUT /v2/images/{image_id}/stage",
    "POST /v2/images/{image_id}/import",
    "POST /v2/images/{image_id}/actions/deactivate",
)
