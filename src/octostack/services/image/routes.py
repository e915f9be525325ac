# SPDX-License-Identifier: Apache-2.0
"""The whole API on one screen."""

from html import escape

from octostack.base.errors import OctoError
from octostack.runtime.http import ANY, PUBLIC, Fault, Route, delete, get, patch, post, put
from octostack.runtime.http.faults import TITLES
from octostack.services.image.api import data, discovery, images, imports, members, metadefs
from octostack.services.image.core.patch import V20, V21
from octostack.services.image.schema import images as image_schema
from octostack.services.image.schema import members as member_schema
from octostack.services.image.schema import metadefs as metadef_schema

_IMAGE = "/v2/images/{image_id}"
_MEMBER = _IMAGE + "/members/{member_id}"
_NAMESPACES = "/v2/metadefs/namespaces"
_NAMESPACE = _NAMESPACES + "/{namespace}"
_HERE = {"target": "handler"}


def _one(kind: str, noun: str, remove: str) -> tuple[Route, ...]:
    """The routes of one definition in a namespace."""
    path = f"{_NAMESPACE}/{kind}/{{name}}"
    return (
        get(path, metadefs.show_item, rule=f"get_metadef_{noun}", **_HERE),
        put(path, metadefs.update_item, rule=f"modify_metadef_{noun}",
            body=metadef_schema.ITEMS[kind], **_HERE),
        delete(path, metadefs.delete_item, rule=f"{remove}_metadef_{noun}", status=204, **_HERE),
    )  # fmt: skip


def _definitions(kind: str, noun: str, remove: str) -> tuple[Route, ...]:
    """The routes of one kind of definition."""
    path = f"{_NAMESPACE}/{kind}"
    return (
        get(path, metadefs.list_items, rule=f"get_metadef_{kind}", **_HERE),
        post(path, metadefs.create_item, rule=f"add_metadef_{noun}",
             body=metadef_schema.ITEMS[kind], status=201, **_HERE),
        *_one(kind, noun, remove),
    )  # fmt: skip


ROUTES = (
    # versions, schemas, what is offered
    get("/", discovery.versions, rule=PUBLIC, status=300),
    get("/versions", discovery.versions_explicitly, rule=PUBLIC),
    *(get(f"/v2/schemas/{name}", discovery.show_schema, rule=ANY) for name in discovery.SCHEMAS),
    get("/v2/info/import", discovery.import_methods, rule=ANY),
    get("/v2/info/stores", discovery.stores, rule=ANY),
    get("/v2/info/stores/detail", discovery.stores_detail, rule="stores_info_detail"),
    get("/v2/info/usage", discovery.usage, rule=ANY),
    # images
    post("/v2/images", images.create, rule="add_image", status=201, **_HERE),
    get("/v2/images", images.list_all, rule="get_images", **_HERE),
    get(_IMAGE, images.show, rule="get_image", **_HERE),
    patch(_IMAGE, images.update, rule="modify_image", content_types=(V20, V21), **_HERE),
    delete(_IMAGE, images.delete, rule="delete_image", status=204, **_HERE),
    post(_IMAGE + "/actions/deactivate", images.deactivate, rule="deactivate", status=204,
         **_HERE),
    post(_IMAGE + "/actions/reactivate", images.reactivate, rule="reactivate", status=204,
         **_HERE),
    put(_IMAGE + "/tags/{tag}", images.add_tag, rule="modify_image", status=204, **_HERE),
    delete(_IMAGE + "/tags/{tag}", images.remove_tag, rule="modify_image", status=204, **_HERE),
    # data
    put(_IMAGE + "/file", data.upload, rule="upload_image", status=204, raw=True, **_HERE),
    get(_IMAGE + "/file", data.download, rule="download_image", **_HERE),
    put(_IMAGE + "/stage", data.stage, rule="modify_image", status=204, raw=True, **_HERE),
    post(_IMAGE + "/import", imports.start, rule="modify_image", body=image_schema.IMPORT,
         status=202, **_HERE),
    delete("/v2/stores/{store_id}/{image_id}", imports.delete_from_store,
           rule="delete_image_location", status=204, **_HERE),
    # members
    get(_IMAGE + "/members", members.list_all, rule="get_members", **_HERE),
    post(_IMAGE + "/members", members.create, rule="add_member", body=member_schema.CREATE,
         **_HERE),
    get(_MEMBER, members.show, rule="get_member", **_HERE),
    put(_MEMBER, members.update, rule="modify_member", body=member_schema.UPDATE, **_HERE),
    delete(_MEMBER, members.delete, rule="delete_member", status=204, **_HERE),
    # tasks
    get(_IMAGE + "/tasks", imports.list_of_image, rule="get_image", **_HERE),
    get("/v2/tasks", imports.list_tasks, rule="tasks_api_access"),
    get("/v2/tasks/{task_id}", imports.show_task, rule="tasks_api_access"),
    # metadata definitions
    *(
        get(f"/v2/schemas/metadefs/{name}", discovery.show_metadef_schema, rule=ANY)
        for name in metadef_schema.DOCUMENTS
    ),
    get("/v2/metadefs/resource_types", metadefs.list_resource_types,
        rule="list_metadef_resource_types"),
    get(_NAMESPACES, metadefs.list_namespaces, rule="get_metadef_namespaces"),
    post(_NAMESPACES, metadefs.create_namespace, rule="add_metadef_namespace",
         body=metadef_schema.NAMESPACE, status=201),
    get(_NAMESPACE, metadefs.show_namespace, rule="get_metadef_namespace", **_HERE),
    put(_NAMESPACE, metadefs.update_namespace, rule="modify_metadef_namespace",
        body=metadef_schema.NAMESPACE, **_HERE),
    delete(_NAMESPACE, metadefs.delete_namespace, rule="delete_metadef_namespace", status=204,
           **_HERE),
    *_definitions("objects", "object", "delete"),
    *_definitions("properties", "property", "remove"),
    delete(_NAMESPACE + "/objects", metadefs.delete_items, rule="delete_metadef_namespace",
           status=204, **_HERE),
    delete(_NAMESPACE + "/properties", metadefs.delete_items, rule="delete_metadef_namespace",
           status=204, **_HERE),
    get(_NAMESPACE + "/tags", metadefs.list_items, rule="get_metadef_tags", **_HERE),
    post(_NAMESPACE + "/tags", metadefs.replace_tags, rule="add_metadef_tags",
         body=metadef_schema.TAGS, status=201, **_HERE),
    delete(_NAMESPACE + "/tags", metadefs.delete_items, rule="delete_metadef_tags", status=204,
           **_HERE),
    post(_NAMESPACE + "/tags/{name}", metadefs.create_item, rule="add_metadef_tag", status=201,
         **_HERE),
    *_one("tags", "tag", "delete"),
    get(_NAMESPACE + "/resource_types", metadefs.list_items, rule="get_metadef_resource_type",
        **_HERE),
    post(_NAMESPACE + "/resource_types", metadefs.create_item,
         rule="add_metadef_resource_type_association",
         body=metadef_schema.ITEMS["resource_types"], status=201, **_HERE),
    delete(_NAMESPACE + "/resource_types/{name}", metadefs.delete_item,
           rule="remove_metadef_resource_type_association", status=204, **_HERE),
)  # fmt: skip

_PAGE = """<html>
 <head>
  <title>{status} {title}</title>
 </head>
 <body>
  <h1>{status} {title}</h1>
  {message}<br /><br />


 </body>
</html>"""


def faults(error: OctoError, status: int, _request_id: str) -> Fault:
    """Glance's form: a small HTML page, from which its clients take the text."""
    title = TITLES.get(status, "Gone" if status == 410 else "Error")
    body = _PAGE.format(status=status, title=title, message=escape(error.message))
    headers = {}
    if status == 416:
        headers["Accept-Ranges"] = "bytes"
    return Fault(status, body, headers, content_type="text/html; charset=UTF-8")
