# SPDX-License-Identifier: Apache-2.0
"""Who may do what. Names and defaults are Glance's own."""

from octostack.runtime.policy import Rule

_MEMBER = "role:member and project_id:%(project_id)s"
_READER = "role:reader and project_id:%(project_id)s"
_OPEN = "'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s"
_ADMIN = "rule:context_is_admin"
_OWNER = f"{_ADMIN} or ({_MEMBER})"
_SEES = f"(project_id:%(project_id)s or project_id:%(member_id)s or {_OPEN})"
_INSIDER = f"{_ADMIN} or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))"
_CREATOR = f"{_MEMBER} and project_id:%(owner)s"

_IMAGE = "/v2/images/{image_id}"
_METADEF_OWNER = _ADMIN
_METADEF_READER = (
    f"{_ADMIN} or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"
)


def _rule(name: str, check: str, text: str, method: str = "", path: str = "") -> Rule:
    return Rule(name, check, text, ((method, path),) if method else ())


_IMAGES = (
    _rule("default", "", "What has no rule of its own."),
    _rule("context_is_admin", "role:admin", "Operators."),
    _rule("service_api", "role:service or role:admin", "Other services."),
    _rule("add_image", f"{_ADMIN} or ({_CREATOR})", "Create an image.", "POST", "/v2/images"),
    _rule("delete_image", _OWNER, "Delete an image.", "DELETE", _IMAGE),
    _rule("get_image", f"{_ADMIN} or (role:reader and {_SEES})", "Show an image.", "GET", _IMAGE),
    _rule("get_images", f"{_ADMIN} or ({_READER})", "List images.", "GET", "/v2/images"),
    _rule("modify_image", _OWNER, "Change an image.", "PATCH", _IMAGE),
    _rule("publicize_image", _ADMIN, "Make an image public.", "PATCH", _IMAGE),
    _rule("communitize_image", _OWNER, "Make an image a community's.", "PATCH", _IMAGE),
    _rule(
        "download_image",
        f"{_ADMIN} or (role:member and {_SEES})",
        "Fetch an image's data.",
        "GET",
        _IMAGE + "/file",
    ),
    _rule("upload_image", _OWNER, "Send an image's data.", "PUT", _IMAGE + "/file"),
    _rule(
        "delete_image_location",
        _ADMIN,
        "Remove a copy of the data.",
        "DELETE",
        "/v2/stores/{store_id}/{image_id}",
    ),
    _rule("get_image_location", f"{_ADMIN} or ({_READER})", "See where the data is."),
    _rule("set_image_location", _OWNER, "Say where the data is."),
    _rule("fetch_image_location", "rule:service_api", "See where the data is, for services.",
          "GET", _IMAGE + "/locations"),
    _rule("add_member", _OWNER, "Share an image.", "POST", _IMAGE + "/members"),
    _rule("delete_member", _OWNER, "Share it no more.", "DELETE",
          _IMAGE + "/members/{member_id}"),
    _rule("get_member", _INSIDER, "Show a member.", "GET", _IMAGE + "/members/{member_id}"),
    _rule("get_members", _INSIDER, "List members.", "GET", _IMAGE + "/members"),
    _rule(
        "modify_member",
        f"{_ADMIN} or (role:member and project_id:%(member_id)s)",
        "Accept or reject an image.",
        "PUT",
        _IMAGE + "/members/{member_id}",
    ),
    _rule("deactivate", _OWNER, "Withhold the data.", "POST", _IMAGE + "/actions/deactivate"),
    _rule("reactivate", _OWNER, "Give it out again.", "POST", _IMAGE + "/actions/reactivate"),
    _rule("copy_image", _ADMIN, "Copy between stores.", "POST", _IMAGE + "/import"),
    _rule("stores_info_detail", _ADMIN, "Details of stores.", "GET", "/v2/info/stores/detail"),
    _rule("tasks_api_access", _ADMIN, "The tasks API.", "GET", "/v2/tasks"),
)  # fmt: skip

RULES = _IMAGES
