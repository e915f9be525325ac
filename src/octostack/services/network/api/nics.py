# SPDX-License-Identifier: Apache-2.0
"""Machines' NICs: planned before a create is accepted, made in its course, released at its end."""

import ipaddress
from collections.abc import Sequence

from octostack.contracts.network import Binding, NicRequest, NicRequests, PlannedNic, PortSpec
from octostack.services.network.api import groups, plumbing, ports, quota, topology
from octostack.services.network.api.app import Op
from octostack.services.network.core import ipam
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.ports import PORTS
from octostack.services.network.store import groups as group_rows
from octostack.services.network.store import networks as network_rows
from octostack.services.network.store import ports as port_rows
from octostack.services.network.store import rows


async def plan(op: Op, requests: NicRequests) -> list[PlannedNic]:
    """The NICs of a create, checked. See the contract for what is raised."""
    project_id = op.caller.project_id or ""
    if requests.mode == "none":
        return []
    if requests.mode == "auto":
        wanted = await _auto(op, project_id)
    elif requests.mode == "default":
        wanted = await _default(op, project_id)
    else:
        wanted = [await _checked(op, nic, requests.count) for nic in requests.nics]
    _refuse_twice(wanted)
    new = sum(1 for nic in wanted if nic.port_id is None) * requests.count
    if new:
        await quota.claim(op, "port", project_id, new)
    return wanted


async def _auto(op: Op, project_id: str) -> list[PlannedNic]:
    """The one network of the project, or a new one with a way out."""
    found = await _bootable(op, project_id)
    if len(found) > 1:
        raise fault("NetworkAmbiguous")
    network_id = found[0].id if found else await topology.ensure(op, project_id)
    return [PlannedNic(network_id=network_id)]


async def _default(op: Op, project_id: str) -> list[PlannedNic]:
    found = await _bootable(op, project_id)
    if len(found) > 1:
        raise fault("NetworkAmbiguous")
    return [PlannedNic(network_id=network.id) for network in found]


async def _bootable(op: Op, project_id: str) -> list[nouns.Network]:
    found = [n for n in await network_rows.attachable(op.tx, project_id) if not n.external]
    subnets = await network_rows.subnet_ids(op.tx, [network.id for network in found])
    return [network for network in found if subnets[network.id]]


async def _checked(op: Op, nic: NicRequest, count: int) -> PlannedNic:
    if nic.port_id:
        return await _checked_port(op, nic.port_id, count)
    network = await op.network(nic.network_id or "")
    await _check_attachable(op, network)
    subnets = await network_rows.subnets_of(op.tx, network.id)
    if not subnets and network.port_security_enabled:
        raise fault("NetworkRequiresSubnet", net_id=network.id)
    if nic.fixed_ip:
        await _check_fixed(op, subnets, nic.fixed_ip, count)
    return PlannedNic(network_id=network.id, fixed_ip=nic.fixed_ip)


async def _check_attachable(op: Op, network: nouns.Network) -> None:
    mine = network.project_id == op.caller.project_id
    if op.sees_all or mine or await op.is_shared(network.id):
        return
    raise fault("ExternalNetworkAttachForbidden", net_id=network.id)


async def _check_fixed(op: Op, subnets: Sequence[nouns.Subnet], address: str, count: int) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError as e:
        raise fault("InvalidIpForNetwork", ip_address=address) from e
    subnet = ipam.subnet_for(address, subnets)
    if count > 1 or await port_rows.holder(op.tx, subnet.id, ipam.sortable(address)):
        raise fault("IpAddressAlreadyAllocated", ip=address, subnet_id=subnet.id)


async def _checked_port(op: Op, port_id: str, count: int) -> PlannedNic:
    port = await _own_port(op, port_id)
    if port.device_id or count > 1:
        raise _in_use(port)
    network = await op.find_network(port.network_id)
    if not port.fixed_ips and network is not None and network.port_security_enabled:
        raise fault("PortRequiresFixedIP", port_id=port.id)
    return PlannedNic(network_id=port.network_id, port_id=port.id)


async def _own_port(op: Op, port_id: str) -> nouns.Port:
    port = await rows.find(op.tx, nouns.Port, port_id)
    if port is None or not (op.sees_all or port.project_id == op.caller.project_id):
        raise fault("PortNotFound", port_id=port_id)
    return port


def _in_use(port: nouns.Port) -> Exception:
    return fault("PortInUse", port_id=port.id, net_id=port.network_id, device_id=port.device_id)


def _refuse_twice(wanted: Sequence[PlannedNic]) -> None:
    """A port can be one NIC only."""
    seen = [nic.port_id for nic in wanted if nic.port_id]
    for port_id in seen:
        if seen.count(port_id) > 1:
            raise fault("PortInUse", port_id=port_id, net_id="", device_id="")


async def ensure(op: Op, spec: PortSpec) -> nouns.Port:
    """The port of one NIC: the one there is for it, the user's, or a new one."""
    for kind in (nouns.MADE, nouns.BROUGHT):
        known = await port_rows.for_request(op.tx, spec.device_id, kind + spec.key)
        if known is not None:
            return await _bound(op, known, spec.host)
    if spec.port_id:
        return await _brought(op, spec)
    return await _made(op, spec)


async def _brought(op: Op, spec: PortSpec) -> nouns.Port:
    port = await _own_port(op, spec.port_id or "")
    if port.device_id and port.device_id != spec.device_id:
        raise _in_use(port)
    named = {} if port.dns_name or not spec.hostname else {"dns_name": spec.hostname}
    port = await plumbing.change(
        op,
        port,
        device_id=spec.device_id,
        device_owner=spec.device_owner,
        request_key=nouns.BROUGHT + spec.key,
        **named,
    )
    return await _bound(op, port, spec.host)


async def _made(op: Op, spec: PortSpec) -> nouns.Port:
    network = await op.network(spec.network_id)
    await _check_attachable(op, network)
    project_id = op.caller.project_id or ""
    await quota.claim(op, "port", project_id)
    head = {"project_id": project_id, "tenant_id": project_id}
    body: dict[str, object] = {
        **head,
        "network_id": network.id,
        "device_id": spec.device_id,
        "device_owner": spec.device_owner,
    }
    if spec.fixed_ip:
        body["fixed_ips"] = [{"ip_address": spec.fixed_ip}]
    if spec.security_groups and network.port_security_enabled:
        body["security_groups"] = await group_ids(op, project_id, spec.security_groups)
    values = PORTS.parse_new(body)
    return await ports.create(
        op,
        {
            **values,
            "dns_name": spec.hostname.lower(),
            "binding:host_id": spec.host,
            "request_key": nouns.MADE + spec.key,
        },
    )


async def _bound(op: Op, port: nouns.Port, host: str) -> nouns.Port:
    if not host or port.host == host:
        return port
    return await plumbing.change(op, port, host=host, status=nouns.DOWN)


async def bind(op: Op, port: nouns.Port, binding: Binding) -> nouns.Port:
    """Put a port on a host."""
    moved = {"status": nouns.DOWN} if port.host != binding.host else {}
    return await plumbing.change(
        op,
        port,
        host=binding.host,
        device_id=binding.device_id,
        device_owner=binding.device_owner,
        profile=dict(binding.profile) or port.profile,
        **moved,
    )


async def unbind(op: Op, port: nouns.Port) -> None:
    """Take a port off its host and its machine."""
    await plumbing.change(
        op,
        port,
        host="",
        device_id="",
        device_owner="",
        request_key="",
        status=nouns.DOWN,
        told="",
    )


async def remove(op: Op, port: nouns.Port) -> None:
    """Remove a port whoever made it, unless the network itself needs it."""
    await ports.delete(op, port)


async def release(op: Op, port: nouns.Port) -> None:
    """What was made for the machine goes; what the user brought stays, free."""
    if port.request_key.startswith(nouns.MADE):
        await plumbing.remove(op, port)
    else:
        await unbind(op, port)


async def default_group(op: Op, project_id: str) -> str:
    """The id of the project's default group."""
    return await groups.ensure_default(op, project_id)


async def group_ids(op: Op, project_id: str, names: Sequence[str]) -> list[str]:
    """Groups by id or name. Raises NotFound, Conflict (NoUniqueMatch)."""
    await groups.ensure_default(op, project_id)
    found = []
    for name in dict.fromkeys(names):
        matches = await group_rows.named(op.tx, project_id, name)
        exact = [group for group in matches if group.id == name]
        if not matches:
            raise fault("SecurityGroupNotFound", id=name)
        if len(matches) > 1 and not exact:
            raise fault("NoUniqueMatch", resource="security_group", name=name)
        found.append((exact or matches)[0].id)
    return list(dict.fromkeys(found))


async def change_groups(op: Op, device_id: str, add: Sequence[str], remove_: Sequence[str]) -> None:
    """Groups added to and taken from every port of a machine. Raises NotFound."""
    project_id = op.caller.project_id or ""
    added = await group_ids(op, project_id, add)
    removed = await group_ids(op, project_id, remove_)
    found = [port for port in await port_rows.of_device(op.tx, device_id) if port.fixed_ips]
    secured = [port for port in found if port.port_security_enabled]
    held = {id_ for port in secured for id_ in port.security_groups}
    for id_ in removed:
        if id_ not in held:
            raise fault("SecurityGroupNotFound", id=id_)
    for port in secured:
        left = [id_ for id_ in port.security_groups if id_ not in removed]
        chosen = [*left, *(id_ for id_ in added if id_ not in left)]
        await plumbing.change(op, port, security_groups=chosen)
