# SPDX-License-Identifier: Apache-2.0
"""Bodies of servers: create, update, and what becomes of them."""

import copy

from octostack.base.errors import Invalid, Unsupported
from octostack.runtime.http import Versions, versions
from octostack.services.compute.model import BlockDevice, NewServer, NicRequest
from octostack.services.compute.schema import terms
from octostack.services.compute.schema.terms import BOOLEAN, NAME, TAG, UUID, Json

_INDEX: Json = {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$"}
_DEVICE: Json = {
    "virtual_name": {"type": "string", "maxLength": 255},
    "volume_id": UUID,
    "snapshot_id": UUID,
    "volume_size": {
        "type": ["integer", "string"],
        "pattern": "^[0-9]+$",
        "minimum": 1,
        "maximum": terms.INT32_MAX,
    },
    "device_name": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[a-zA-Z0-9._/-]*$",
    },
    "delete_on_termination": BOOLEAN,
    "no_device": {},
    "connection_info": {"type": "string", "maxLength": 16777215},
}
_DEVICE_V2: Json = {
    **_DEVICE,
    "source_type": {"type": "string", "enum": ["volume", "image", "snapshot", "blank"]},
    "uuid": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9._-]*$"},
    "image_id": UUID,
    "destination_type": {"type": "string", "enum": ["local", "volume"]},
    "guest_format": {"type": "string", "maxLength": 255},
    "device_type": {"type": "string", "maxLength": 255},
    "disk_bus": {"type": "string", "maxLength": 255},
    "boot_index": _INDEX,
}
_UUIDS: Json = {"type": ["string", "array"], "format": "uuid", "items": UUID}
HINTS: Json = {
    "type": "object",
    "properties": {
        "group": UUID,
        "different_host": _UUIDS,
        "same_host": _UUIDS,
        "query": {"type": ["string", "object"]},
        "target_cell": NAME,
        "different_cell": {"type": ["string", "array"], "items": {"type": "string"}},
        "build_near_host_ip": {"type": "string", "format": "ipv4"},
        "cidr": {"type": "string", "pattern": "^/[0-9a-f.:]+$"},
    },
    "additionalProperties": True,
}


def _networks(version: tuple[int, int]) -> Json:
    item: Json = {
        "fixed_ip": {"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
        "port": terms.UUID_OR_NULL,
        "uuid": UUID,
    }
    if (2, 32) <= version <= (2, 36) or version >= (2, 42):
        item["tag"] = TAG
    many: Json = {"type": "array", "items": terms.whole(item)}
    if version < (2, 37):
        return many
    return {"oneOf": [many, {"type": "string", "enum": ["none", "auto"]}]}


def _create(version: tuple[int, int]) -> Json:
    device, device_v2 = dict(_DEVICE), dict(_DEVICE_V2)
    if version == (2, 32) or version >= (2, 42):
        device_v2["tag"] = TAG
    if version >= (2, 67):
        device_v2["volume_type"] = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
    server: Json = {
        "name": NAME,
        "imageRef": {"oneOf": [UUID, {"type": "string", "maxLength": 0}]},
        "flavorRef": {"type": ["string", "integer"], "minLength": 1},
        "adminPass": terms.PASSWORD,
        "metadata": terms.METADATA,
        "networks": _networks(version),
        "OS-DCF:diskConfig": terms.DISK_CONFIG,
        "accessIPv4": terms.IPV4,
        "accessIPv6": terms.IPV6,
        "availability_zone": NAME,
        "block_device_mapping": {"type": "array", "items": terms.whole(device)},
        "block_device_mapping_v2": {"type": "array", "items": terms.whole(device_v2)},
        "config_drive": BOOLEAN,
        "key_name": NAME,
        "min_count": terms.COUNT,
        "max_count": terms.COUNT,
        "return_reservation_id": BOOLEAN,
        "security_groups": {"type": "array", "items": terms.whole({"name": NAME})},
        "user_data": terms.USER_DATA,
    }
    if version < (2, 57):
        server["personality"] = terms.PERSONALITY
    server |= {key: value for since, key, value in SINCE if version >= since}
    required = ["name", "flavorRef"] + (["networks"] if version >= (2, 37) else [])
    return terms.whole(
        {
            "server": terms.whole(server, required),
            "os:scheduler_hints": HINTS,
            "OS-SCH-HNT:scheduler_hints": HINTS,
        },
        ["server"],
    )


_TRUSTED: Json = {
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": 50,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1},
}
_SHORT_HOSTNAME: Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": 63,
    "pattern": "^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$",
}
_FQDN: Json = {
    **_SHORT_HOSTNAME,
    "maxLength": 255,
    "pattern": "^[a-zA-Z0-9]+[a-zA-Z0-9-.]*[a-zA-Z0-9]+$",
}
SINCE: tuple[tuple[tuple[int, int], str, Json], ...] = (
    ((2, 19), "description", terms.DESCRIPTION),
    ((2, 52), "tags", {"type": "array", "items": TAG, "maxItems": 50}),
    ((2, 63), "trusted_image_certificates", _TRUSTED),
    ((2, 74), "host", terms.HOSTNAME),
    ((2, 74), "hypervisor_hostname", terms.HOSTNAME),
    ((2, 90), "hostname", _SHORT_HOSTNAME),
    ((2, 94), "hostname", _FQDN),
)
_CREATE_AT = (
    "2.94", "2.90", "2.74", "2.67", "2.63", "2.57", "2.52", "2.42", "2.37", "2.33", "2.32",
    "2.19", "2.1",
)  # fmt: skip


def numbers(text: str) -> tuple[int, int]:
    """``"2.94"`` as (2, 94)."""
    major, minor = text.split(".")
    return int(major), int(minor)


CREATE: Versions = versions(*((at, terms.compiled(_create(numbers(at)))) for at in _CREATE_AT))


def _update(version: tuple[int, int]) -> Json:
    server: Json = {
        "name": NAME,
        "OS-DCF:diskConfig": terms.DISK_CONFIG,
        "accessIPv4": terms.IPV4,
        "accessIPv6": terms.IPV6,
    }
    wanted = ("description", "hostname")
    server |= {k: copy.deepcopy(v) for at, k, v in SINCE if version >= at and k in wanted}
    return terms.whole({"server": terms.whole(server)}, ["server"])


UPDATE: Versions = versions(
    *((at, terms.compiled(_update(numbers(at)))) for at in ("2.94", "2.90", "2.19", "2.1"))
)
METADATA = terms.compiled(terms.whole({"metadata": terms.METADATA}, ["metadata"]))
META = terms.compiled(
    terms.whole({"meta": {**terms.METADATA, "minProperties": 1, "maxProperties": 1}}, ["meta"])
)
TAGS = terms.compiled(
    terms.whole({"tags": {"type": "array", "items": TAG, "maxItems": 50}}, ["tags"])
)


def read(body: Json, version: tuple[int, int]) -> NewServer:
    """The one model of what any version's body asks for. Raises Invalid, Unsupported."""
    s = body["server"]
    if s.get("trusted_image_certificates"):
        raise Invalid(
            "Trusted image certificates are not supported: there is no image signature "
            "verification in this cloud.",
            code="CertificateValidationNotSupported",
            field="trusted_image_certificates",
        )
    least, most = _counts(s)
    disks = read_block_devices(s)
    image_id = image_of(s, disks)
    tags = tuple(dict.fromkeys(s.get("tags", ())))
    return NewServer(
        name=s["name"].strip(),
        flavor_id=str(s["flavorRef"]).rsplit("/", 1)[-1],
        image_id=image_id,
        description=s.get("description", s["name"].strip() if version < (2, 19) else None),
        hostname=s.get("hostname", ""),
        metadata=s.get("metadata", {}),
        tags=tags,
        networks=_read_networks(s, version),
        security_groups=tuple(
            dict.fromkeys(g["name"] for g in s.get("security_groups", ()) if g.get("name"))
        ),
        key_name=s.get("key_name"),
        admin_pass=s.get("adminPass"),
        user_data=s.get("user_data"),
        personality=tuple(
            (f.get("path", ""), f.get("contents", "")) for f in s.get("personality", ())
        ),
        config_drive=terms.truth(s.get("config_drive", False)),
        availability_zone=s.get("availability_zone"),
        host=s.get("host"),
        hypervisor_hostname=s.get("hypervisor_hostname"),
        hints={**body.get("OS-SCH-HNT:scheduler_hints", {}), **body.get("os:scheduler_hints", {})},
        block_devices=disks,
        disk_config=s.get("OS-DCF:diskConfig", "MANUAL"),
        access_ip_v4=terms.address(s.get("accessIPv4")),
        access_ip_v6=terms.address(s.get("accessIPv6")),
        min_count=least,
        max_count=most,
        return_reservation_id=terms.truth(s.get("return_reservation_id", False)),
    )


def _counts(s: Json) -> tuple[int, int]:
    least = int(s.get("min_count", 1))
    most = int(s.get("max_count", least))
    if least > most:
        raise Invalid("min_count must be <= max_count", field="min_count")
    if most > 1000:
        raise Invalid("max_count must be at most 1000", field="max_count")
    if most > 1 and s.get("hostname"):
        raise Invalid("Cannot specify hostname when creating several servers", field="hostname")
    return least, most


def _read_networks(s: Json, version: tuple[int, int]) -> tuple[NicRequest, ...] | str:
    asked = s.get("networks")
    if isinstance(asked, str):
        return asked
    if not asked:
        return "default"
    nics = []
    for n in asked:
        port, network, ip = n.get("port"), n.get("uuid", ""), n.get("fixed_ip", "")
        if port:
            if ip:
                raise Invalid(
                    f"Specified Fixed IP '{ip}' cannot be used with port '{port}': the two "
                    "cannot be specified together.",
                    field="fixed_ip",
                )
            network = ""
        elif not network:
            raise Invalid(
                "Bad networks format: network uuid is not in proper format (None)",
                field="networks",
            )
        nics.append(
            NicRequest(network_id=network, port_id=port or "", fixed_ip=ip, tag=n.get("tag", ""))
        )
    _refuse_doubles([n.port_id for n in nics if n.port_id], "port")
    _refuse_doubles([n.tag for n in nics if n.tag], "tag")
    return tuple(nics)


def _refuse_doubles(values: list[str], what: str) -> None:
    if len(set(values)) != len(values):
        raise Invalid(f"Duplicate {what} in networks", field="networks")


def read_block_devices(s: Json) -> tuple[BlockDevice, ...]:
    """The disks that need no volume. Raises Unsupported for those that do."""
    old, new = s.get("block_device_mapping"), s.get("block_device_mapping_v2")
    if old and new:
        raise Invalid(
            "Using different block_device_mapping syntaxes is not allowed in the same request.",
            field="block_device_mapping",
        )
    if old:
        raise _needs_volume()
    devices = tuple(_device(d) for d in new or () if not terms.truth(d.get("no_device", False)))
    boots = sorted(d.boot_index for d in devices if d.boot_index is not None and d.boot_index >= 0)
    ordered = boots[:1] == [0] and len(set(boots)) == len(boots)
    if not ordered and any(d.source == "image" for d in devices):
        raise Invalid(
            "Block Device Mapping is Invalid: Boot sequence for the instance and image/block "
            "device mapping combination is not valid.",
            code="InvalidBDMBootSequence",
            field="block_device_mapping_v2",
        )
    if any(b > 0 for b in boots):
        raise Invalid(
            "Block Device Mapping is Invalid: only one bootable disk is possible without volumes.",
            code="InvalidBDMBootSequence",
            field="boot_index",
        )
    return devices


def _device(d: Json) -> BlockDevice:
    source = d.get("source_type")
    target = d.get("destination_type") or ("local" if source in ("image", "blank") else "volume")
    if source in ("volume", "snapshot") or target == "volume" or d.get("volume_id"):
        raise _needs_volume()
    if source is None:
        raise Invalid(
            "Block Device Mapping is Invalid: source_type is missing", field="source_type"
        )
    raw = d.get("boot_index")
    index = None if raw is None else int(raw)
    image = d.get("image_id") or d.get("uuid") or ""
    if source == "image" and not image:
        raise Invalid("Block Device Mapping is Invalid: missing image uuid", field="uuid")
    if source == "image" and (index is None or index != 0):
        raise Invalid(
            "Block Device Mapping is Invalid: Mapping image to local is not supported.",
            field="destination_type",
        )
    return BlockDevice(
        source=source,
        image_id=image if source == "image" else "",
        boot_index=index,
        size_gb=int(d.get("volume_size", 0)),
        guest_format=d.get("guest_format", ""),
        device_name=d.get("device_name", ""),
        disk_bus=d.get("disk_bus", ""),
        tag=d.get("tag", ""),
    )


def image_of(s: Json, disks: tuple[BlockDevice, ...]) -> str:
    """The image a server boots from, which its body may name in two places. Raises Invalid."""
    named = str(s.get("imageRef") or "")
    mapped = next((d.image_id for d in disks if d.source == "image"), "")
    if named and mapped and named != mapped:
        raise Invalid(
            "Block Device Mapping is Invalid: Boot sequence for the instance and image/block "
            "device mapping combination is not valid.",
            code="InvalidBDMBootSequence",
            field="imageRef",
        )
    image_id = named or mapped
    if not image_id:
        raise Invalid("Invalid imageRef provided.", code="InvalidImageRef", field="imageRef")
    return image_id


def _needs_volume() -> Unsupported:
    return Unsupported(
        "Booting from or attaching volumes needs a Block Storage service, and this cloud has "
        "none. Use source_type image or blank with destination_type local.",
        code="BlockStorageMissing",
        field="block_device_mapping_v2",
        status=400,
    )
