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
_NAMESPACE_READER = (
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
    _rule("stores_info_detail", _ADMIN + " or rule:service_api", "Details of stores.", "GET",
          "/v2/info/stores/detail"),
    _rule("tasks_api_access", _ADMIN, "The tasks API.", "GET", "/v2/tasks"),
)  # fmt: skip

_NAMESPACES = "/v2/metadefs/namespaces"
_NAMESPACE = _NAMESPACES + "/{namespace}"


def _definitions(one: str, many: str, remove: str) -> tuple[Rule, ...]:
    """The rules of one kind of definition, in Glance's irregular names."""
    path = f"{_NAMESPACE}/{many}"
    return (
        _rule(f"get_metadef_{many}", _NAMESPACE_READER, f"List {many}.", "GET", path),
        _rule(f"get_metadef_{one}", _NAMESPACE_READER, f"Show one of {many}.", "GET", path),
        _rule(f"add_metadef_{one}", "rule:metadef_admin", f"Add to {many}.", "POST", path),
        _rule(f"modify_metadef_{one}", "rule:metadef_admin", f"Change one of {many}.", "PUT", path),
        _rule(f"{remove}_metadef_{one}", "rule:metadef_admin", f"Delete one of {many}.", "DELETE",
              path),
    )  # fmt: skip


_METADEFS = (
    _rule("metadef_default", "", "What has no rule of its own among definitions."),
    _rule("metadef_admin", _ADMIN, "Who may change definitions."),
    _rule("get_metadef_namespace", _NAMESPACE_READER, "Show a namespace.", "GET", _NAMESPACE),
    _rule("get_metadef_namespaces", f"{_ADMIN} or ({_READER})", "List namespaces.", "GET",
          _NAMESPACES),
    _rule("modify_metadef_namespace", "rule:metadef_admin", "Change one.", "PUT", _NAMESPACE),
    _rule("add_metadef_namespace", "rule:metadef_admin", "Create one.", "POST", _NAMESPACES),
    _rule("delete_metadef_namespace", "rule:metadef_admin", "Delete one.", "DELETE", _NAMESPACE),
    *_definitions("object", "objects", "delete"),
    *_definitions("property", "properties", "remove"),
    *_definitions("tag", "tags", "delete"),
    _rule("add_metadef_tags", "rule:metadef_admin", "Replace all tags.", "POST",
          _NAMESPACE + "/tags"),
    _rule("delete_metadef_tags", "rule:metadef_admin", "Delete all tags.", "DELETE",
          _NAMESPACE + "/tags"),
    _rule("list_metadef_resource_types", _NAMESPACE_READER, "List resource types.", "GET",
          "/v2/metadefs/resource_types"),
    _rule("get_metadef_resource_type", _NAMESPACE_READER, "List a namespace's resource types.",
          "GET", _NAMESPACE + "/resource_types"),
    _rule("add_metadef_resource_type_association", "rule:metadef_admin", "Attach a namespace.",
          "POST", _NAMESPACE + "/resource_types"),
    _rule("remove_metadef_resource_type_association", "rule:metadef_admin", "Detach it.",
          "DELETE", _NAMESPACE + "/resource_types"),
)  # fmt: skip

RULES = (*_IMAGES, *_METADEFS)
