# SPDX-License-Identifier: Apache-2.0
"""Members and tasks in and out."""

from typing import Any

from octostack.base import clock
from octostack.runtime.http import schema
from octostack.services.image.model import Member, Task

STATUSES = ("pending", "accepted", "rejected")

MEMBER: dict[str, Any] = {
    "name": "member",
    "properties": {
        "member_id": {
            "type": "string",
            "description": "An identifier for the image member (tenantId)",
        },
        "image_id": {
            "type": "string",
            "description": "An identifier for the image",
            "pattern": "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}"
            "-([0-9a-fA-F]){12}$",
        },
        "created_at": {
            "type": "string",
            "description": "Date and time of image member creation",
        },
        "updated_at": {
            "type": "string",
            "description": "Date and time of last modification of image member",
        },
        "status": {
            "type": "string",
            "description": "The status of this image member",
            "enum": list(STATUSES),
        },
        "schema": {"readOnly": True, "type": "string"},
    },
    "additionalProperties": False,
}

CREATE = schema(
    {
        "type": "object",
        "properties": {"member": {"type": "string", "minLength": 1, "maxLength": 255}},
        "required": ["member"],
    }
)
UPDATE = schema(
    {
        "type": "object",
        "properties": {"status": {"type": "string", "enum": list(STATUSES)}},
        "required": ["status"],
    }
)


def view(member: Member) -> dict[str, Any]:
    """A member as the API shows it."""
    return {
        "member_id": member.member_id,
        "image_id": member.image_id,
        "status": member.status,
        "created_at": clock.iso(member.created_at),
        "updated_at": clock.iso(member.updated_at),
        "schema": "/v2/schemas/member",
    }


_TASK_TEXT = {"type": "string"}
_TASK_TIME = {"type": ["string", "null"]}
TASK: dict[str, Any] = {
    "name": "task",
    "properties": {
        "id": _TASK_TEXT,
        "type": {"type": "string", "enum": ["import", "api_image_import"]},
        "status": {"type": "string", "enum": ["pending", "processing", "success", "failure"]},
        "input": {"type": ["object", "null"]},
        "result": {"type": ["object", "null"]},
        "owner": _TASK_TEXT,
        "message": _TASK_TEXT,
        "image_id": _TASK_TEXT,
        "request_id": _TASK_TEXT,
        "user_id": _TASK_TEXT,
        "expires_at": _TASK_TIME,
        "created_at": _TASK_TEXT,
        "updated_at": _TASK_TEXT,
        "self": {"readOnly": True, "type": "string"},
        "schema": {"readOnly": True, "type": "string"},
    },
}


def view_task(task: Task) -> dict[str, Any]:
    """A task as the API shows it."""
    done = {"image_id": task.image_id} if task.status == "success" else None
    return {
        "id": task.id,
        "type": task.type,
        "status": task.status,
        "owner": task.owner,
        "image_id": task.image_id,
        "user_id": task.user_id,
        "request_id": task.request_id,
        "input": task.input,
        "result": done,
        "message": task.message,
        "created_at": clock.iso(task.created_at),
        "updated_at": clock.iso(task.updated_at),
        "expires_at": clock.iso(task.expires_at) if task.expires_at else None,
        "self": f"/v2/tasks/{task.id}",
        "schema": "/v2/schemas/task",
    }
