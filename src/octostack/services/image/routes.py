# SPDX-License-Identifier: Apache-2.0
"""The whole API on one screen."""

from html import escape

from octostack.base.errors import OctoError
from octostack.runtime.http import ANY, PUBLIC, Fault, delete, get, patch, post, put
from octostack.runtime.http.faults import TITLES
from octostack.services.image.api import data, discovery, images, imports, members
from octostack.services.image.core.patch import V20, V21
from octostack.services.image.schema import images as image_schema
from octostack.services.image.schema import members as member_schema

_IMAGE = "/v2/images/{image_id}"
_MEMBER = _IMAGE + "/members/{member_id}"
_HERE = {"target": "handler"}

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
