# SPDX-License-Identifier: Apache-2.0
"""Ports: made by users and by the service itself, changed, removed."""

from collections.abc import Sequence

from octostack.services.network.api import addresses, dhcp, groups, plumbing
from octostack.services.network.api.app import Op, owned
from octostack.services.network.api.behaviour import Behaviour, Values
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.ports import PORTS
from octostack.services.network.schema.resource import to_fields
from octostack.services.network.store import networks, routers, rows

DOMAIN = "octostack.local."
_DASHES = str.maketrans(".:", "--")
UNBOUND = {"binding:vif_type": "unbound", "binding:vif_details": {}}
DETAILS = {"port_filter": True, "connectivity": "l2", "bound_drivers": {"0": "octostack"}}


async def create(op: Op, values: Values) -> nouns.Port:
    """A port as a user asks for it."""
    network = await op.network(values["network_id"])
    fields = to_fields(PORTS, {k: v for k, v in values.items() if k != "request_key"})
    secured = fields.setdefault("port_security_enabled", network.port_security_enabled)
    fields["host"] = fields.get("host") or ""
    trusted = fields["device_owner"].startswith("network:")
    if fields.get("allowed_address_pairs") and not secured:
        raise fault("AddressPairAndPortSecurityRequired")
    given = fields.get("security_groups")
    if given and not secured:
        raise fault("PortSecurityAndIPRequiredForSecurityGroups")
    if given:
        await groups.check_usable(op, given, fields["project_id"])
    elif given is None and secured and not trusted:
        fields["security_groups"] = [await groups.ensure_default(op, fields["project_id"])]
    fields["extra_dhcp_opts"] = _kept_options([], fields["extra_dhcp_opts"])
    if values.get("request_key"):  # a machine's NIC; no attribute of the API
        fields["request_key"] = values["request_key"]
    wanted = fields.pop("fixed_ips", None)
    return await plumbing.make(op, wanted, **fields)


async def update(op: Op, port: nouns.Port, values: Values) -> nouns.Port:
    """Change a port as a user asks for it."""
    fields = to_fields(PORTS, values)
    if "host" in fields:
        fields["host"] = fields["host"] or ""
    if "mac_address" in fields and fields["mac_address"] != port.mac_address:
        fields["mac_address"] = await _changed_mac(op, port, fields["mac_address"])
    _check_security(port, fields)
    if fields.get("security_groups"):
        await groups.check_usable(op, fields["security_groups"], port.project_id)
    if "extra_dhcp_opts" in fields:
        fields["extra_dhcp_opts"] = _kept_options(port.extra_dhcp_opts, fields["extra_dhcp_opts"])
    if "fixed_ips" in fields:
        await _check_floating(op, port, fields["fixed_ips"])
        fields["fixed_ips"], _moved = await addresses.rechoose(op, port, fields["fixed_ips"])
    if "host" in fields and fields["host"] != port.host:
        fields["status"] = nouns.DOWN
    return await plumbing.change(op, port, **fields)


async def _changed_mac(op: Op, port: nouns.Port, mac: str | None) -> str:
    """Another MAC, a new one where None is asked for. Raises Conflict."""
    if port.device_owner in nouns.SERVICE_OWNERS:
        raise fault(
            "UnsupportedPortDeviceOwner",
            op="mac address update",
            port_id=port.id,
            device_owner=port.device_owner,
        )
    if port.host:
        raise fault(
            "PortBound", port_id=port.id, vif_type="ovs", old_mac=port.mac_address, new_mac=mac
        )
    return await addresses.mac(op, port.network_id, mac)


def _check_security(port: nouns.Port, fields: Values) -> None:
    """Port security, groups and address pairs must agree. Raises Conflict, Invalid."""
    secured = fields.get("port_security_enabled", port.port_security_enabled)
    if secured:
        return
    chosen = fields.get("security_groups", port.security_groups)
    if chosen and fields.get("security_groups"):
        raise fault("PortSecurityAndIPRequiredForSecurityGroups")
    if chosen:
        raise fault("PortSecurityPortHasSecurityGroup")
    if fields.get("allowed_address_pairs", port.allowed_address_pairs):
        raise fault("AddressPairAndPortSecurityRequired")


async def _check_floating(op: Op, port: nouns.Port, wanted: addresses.Wanted) -> None:
    """Floating addresses that lead to an address the port loses are let go."""
    kept = {item.get("ip_address") for item in wanted}
    subnets = {item.get("subnet_id") for item in wanted if "ip_address" not in item}
    for floating in await routers.floating_of_ports(op.tx, [port.id]):
        subnet = next(
            (
                ip["subnet_id"]
                for ip in port.fixed_ips
                if ip["ip_address"] == floating.fixed_ip_address
            ),
            None,
        )
        if floating.fixed_ip_address not in kept and subnet not in subnets:
            await plumbing.let_go(op, floating)


def _kept_options(old: nouns.Items, given: nouns.Items) -> nouns.Items:
    """DHCP options by name and IP version; a null value removes one."""
    merged = {(o["opt_name"], o["ip_version"]): o for o in [*old, *given]}
    return [o for o in merged.values() if o["opt_value"] is not None]


async def delete(op: Op, port: nouns.Port) -> None:
    """Remove a port, unless the service needs it; a DHCP server comes back at once."""
    if port.device_owner in nouns.SERVICE_OWNERS and await _is_needed(op, port):
        raise fault(
            "ServicePortInUse", port_id=port.id, reason=f"has device owner {port.device_owner}"
        )
    await plumbing.remove(op, port)
    network = await op.find_network(port.network_id)
    if port.device_owner == nouns.OWNER_DHCP and network is not None:
        await dhcp.tend(op, network)


async def _is_needed(op: Op, port: nouns.Port) -> bool:
    if port.device_owner == nouns.OWNER_DHCP:
        return False
    if port.device_owner == nouns.OWNER_FLOATINGIP:
        return await rows.find(op.tx, nouns.FloatingIp, port.device_id) is not None
    return await rows.find(op.tx, nouns.Router, port.device_id) is not None


async def extras(op: Op, found: Sequence[nouns.Port]) -> list[Values]:
    """How the port is plugged, and its names."""
    hosts: dict[str, Values] = {"": UNBOUND}
    if any(port.host for port in found):
        plugged = {"binding:vif_type": "ovs", "binding:vif_details": DETAILS}
        hosts |= {agent.host: plugged for agent in await rows.select(op.tx, nouns.Agent)}
    failed = {"binding:vif_type": "binding_failed", "binding:vif_details": {}}
    return [{**hosts.get(port.host, failed), "dns_assignment": _names(port)} for port in found]


def _names(port: nouns.Port) -> list[dict[str, str]]:
    """The name each address of the port is known by."""
    names = []
    for ip in port.fixed_ips:
        address = ip["ip_address"]
        host = port.dns_name or "host-" + address.translate(_DASHES)
        fqdn = host if host[-1] == "." else f"{host}.{port.dns_domain or DOMAIN}"
        names.append({"hostname": host, "ip_address": address, "fqdn": fqdn})
    return names


async def targets(op: Op, found: Sequence[nouns.Port]) -> list[Values]:
    """Owner of the port, owner and sharing of its network."""
    ids = {port.network_id for port in found}
    owners = await networks.owners(op.tx, ids)
    lent = await networks.lent(op.tx, "network", op.caller.project_id)
    by_network = {
        id_: {"network:project_id": owner, "shared": id_ in lent} for id_, owner in owners.items()
    }
    return [
        {
            **owned(port.project_id),
            **by_network[port.network_id],
            "network_device": port.device_owner.startswith("network:"),
        }
        for port in found
    ]


async def new_target(op: Op, values: Values) -> Values:
    """The same for a port to be made. Raises NotFound for a network the caller cannot see."""
    network = await op.network(values["network_id"])
    return {
        **owned(values["project_id"]),
        "network:project_id": network.project_id,
        "shared": await op.is_shared(network.id),
        "network_device": values["device_owner"].startswith("network:"),
    }


THING = Behaviour(
    resource=PORTS,
    missing=("PortNotFound", "port_id"),
    create=create,
    update=update,
    delete=delete,
    extras=extras,
    targets=targets,
    new_target=new_target,
    quota="port",
)
