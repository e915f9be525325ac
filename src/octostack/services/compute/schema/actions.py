# SPDX-License-Identifier: Apache-2.0
"""Bodies of actions, consoles and interfaces of a server."""

import copy
from typing import Any

from octostack.runtime.http import versions
from octostack.services.compute.schema import servers, terms
from octostack.services.compute.schema.terms import Json

NOTHING: dict[str, Json] = {}


def _action(name: str, content: Json) -> Any:
    return terms.compiled(terms.whole({name: content}, [name]))


_EMPTY: Json = {"type": ["object", "null", "string", "integer", "boolean", "array", "number"]}


def plain(name: str) -> Any:
    """An action whose value says nothing."""
    return _action(name, _EMPTY)


REBOOT = _action(
    "reboot",
    terms.whole(
        {"type": {"type": "string", "enum": ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]}},
        ["type"],
    ),
)
LOCK = versions(
    (
        "2.73",
        _action(
            "lock",
            {
                "type": ["object", "null"],
                "properties": {
                    "locked_reason": {"type": "string", "minLength": 1, "maxLength": 255}
                },
                "additionalProperties": False,
            },
        ),
    ),
    ("2.1", plain("lock")),
)
RESCUE = _action(
    "rescue",
    {
        "type": ["object", "null"],
        "properties": {
            "adminPass": terms.PASSWORD,
            "rescue_image_ref": {"oneOf": [terms.UUID, {"type": "string", "maxLength": 0}]},
        },
        "additionalProperties": False,
    },
)
CREATE_IMAGE = _action(
    "createImage", terms.whole({"name": terms.NAME, "metadata": terms.METADATA}, ["name"])
)
CREATE_BACKUP = _action(
    "createBackup",
    terms.whole(
        {
            "name": terms.NAME,
            "backup_type": {"type": "string"},
            "rotation": {"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 0},
            "metadata": terms.METADATA,
        },
        ["name", "backup_type", "rotation"],
    ),
)
CHANGE_PASSWORD = _action(
    "changePassword", terms.whole({"adminPass": terms.PASSWORD}, ["adminPass"])
)
CONSOLE_OUTPUT = _action(
    "os-getConsoleOutput",
    {
        "type": "object",
        "properties": {
            "length": {
                "type": ["integer", "string", "null"],
                "pattern": "^-?[0-9]+$",
                "minimum": -1,
                "maximum": terms.INT32_MAX,
            }
        },
        "additionalProperties": False,
    },
)
RESET_STATE = _action(
    "os-resetState",
    terms.whole({"state": {"type": "string", "enum": ["active", "error"]}}, ["state"]),
)
_GROUP = terms.whole({"name": {"type": "string", "minLength": 1, "maxLength": 255}}, ["name"])
ADD_GROUP = _action("addSecurityGroup", _GROUP)
REMOVE_GROUP = _action("removeSecurityGroup", _GROUP)

_ADDRESS = {"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
ADD_FLOATING = _action(
    "addFloatingIp", terms.whole({"address": _ADDRESS, "fixed_address": _ADDRESS}, ["address"])
)
REMOVE_FLOATING = _action("removeFloatingIp", terms.whole({"address": _ADDRESS}, ["address"]))

CONSOLE_TYPES = {
    "novnc": ("vnc", "vnc"),
    "xvpvnc": ("vnc", "vnc"),
    "serial": ("serial", "serial"),
}
VNC_CONSOLE = _action(
    "os-getVNCConsole",
    terms.whole({"type": {"type": "string", "enum": ["novnc", "xvpvnc"]}}, ["type"]),
)
SERIAL_CONSOLE = _action(
    "os-getSerialConsole", terms.whole({"type": {"type": "string", "enum": ["serial"]}}, ["type"])
)
REMOTE_CONSOLE = terms.body(
    "remote_console",
    terms.whole(
        {
            "protocol": {"type": "string", "enum": ["vnc", "spice", "rdp", "serial", "mks"]},
            "type": {
                "type": "string",
                "enum": ["novnc", "xvpvnc", "rdp-html5", "spice-html5", "serial", "webmks"],
            },
        },
        ["protocol", "type"],
    ),
)


def _rebuild(version: tuple[int, int]) -> Json:
    server: Json = {
        "name": terms.NAME,
        "imageRef": terms.UUID,
        "adminPass": terms.PASSWORD,
        "metadata": terms.METADATA,
        "preserve_ephemeral": terms.BOOLEAN,
        "OS-DCF:diskConfig": terms.DISK_CONFIG,
        "accessIPv4": terms.IPV4,
        "accessIPv6": terms.IPV6,
    }
    if version < (2, 57):
        server["personality"] = terms.PERSONALITY
    if version >= (2, 54):
        server["key_name"] = {"oneOf": [terms.NAME, {"type": "null"}]}
    if version >= (2, 57):
        server["user_data"] = {"oneOf": [terms.USER_DATA, {"type": "null"}]}
    also = ("description", "hostname", "trusted_image_certificates")
    server |= {k: copy.deepcopy(v) for at, k, v in servers.SINCE if version >= at and k in also}
    return terms.whole({"rebuild": terms.whole(server, ["imageRef"])}, ["rebuild"])


REBUILD = versions(
    *(
        (at, terms.compiled(_rebuild(servers.numbers(at))))
        for at in ("2.94", "2.90", "2.63", "2.57", "2.54", "2.19", "2.1")
    )
)


def _attach(*, tagged: bool) -> Any:
    interface: Json = {
        "net_id": terms.UUID,
        "port_id": terms.UUID,
        "fixed_ips": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": terms.whole(
                {
                    "ip_address": {
                        "type": "string",
                        "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}],
                    }
                },
                ["ip_address"],
            ),
        },
    }
    if tagged:
        interface["tag"] = terms.TAG
    return terms.compiled(terms.whole({"interfaceAttachment": terms.whole(interface)}))


ATTACH = versions(("2.49", _attach(tagged=True)), ("2.1", _attach(tagged=False)))
