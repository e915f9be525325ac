# SPDX-License-Identifier: Apache-2.0
"""`contracts.network.Network` as other parts call it: Compute, the metadata service, agents."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from octostack.base.errors import Conflict, Invalid
from octostack.contracts.api import ApiCall
from octostack.contracts.compute import Finding
from octostack.contracts.identity import Caller
from octostack.contracts.network import (
    AgentInfo,
    Binding,
    HostReport,
    Network,
    NetworkInfo,
    NicRequests,
    PlannedNic,
    PortAddresses,
    PortInfo,
    PortOwner,
    PortSpec,
    QuotaUsage,
    SecurityGroupInfo,
)
from octostack.runtime.http import Inner
from octostack.services.network.api import binding, nics, portinfo, quota
from octostack.services.network.api.app import App, Op
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.store import groups, rows
from octostack.services.network.store import networks as network_rows
from octostack.services.network.store import ports as port_rows

# The service's own hand, where a call comes with no user behind it.
ITSELF = Caller(user_id="", roles=("admin", "service"))
ATTEMPTS = 5


class NetworkCalls(Network):
    """The promises kept."""

    def __init__(
        self, app: App, api: Inner, examine: Callable[[bool], Awaitable[list[Finding]]]
    ) -> None:
        self._app = app
        self._api = api
        self._examine = examine

    async def ask(self, caller: Caller, call: ApiCall) -> bytes:
        return await self._api.ask(caller, call)

    async def list_networks(self, caller: Caller, ids: tuple[str, ...] = ()) -> list[NetworkInfo]:
        async with self._app.db.read() as tx:
            op = Op(self._app, tx, caller)
            if ids:
                found = [await op.network(id_) for id_ in ids]
            else:
                found = await network_rows.attachable(tx, caller.project_id or "")
            return await portinfo.networks(op, found)

    async def plan_nics(self, caller: Caller, requests: NicRequests) -> list[PlannedNic]:
        async with self._app.db.write() as tx:
            planned = await nics.plan(Op(self._app, tx, caller), requests)
            tx.after_commit(self._app.wake)
            return planned

    async def ensure_port(self, caller: Caller, spec: PortSpec) -> PortInfo:
        for attempt in range(ATTEMPTS):
            try:
                async with self._app.db.write() as tx:
                    op = Op(self._app, tx, caller)
                    port = await nics.ensure(op, spec)
                    tx.after_commit(self._app.wake)
                    return (await portinfo.ports(op, [port]))[0]
            except Conflict as e:
                # Another writer took the same address; choose again.
                if e.code != "db.duplicate" or attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def bind_port(self, port_id: str, binding: Binding) -> PortInfo:
        async with self._app.db.write() as tx:
            op = Op(self._app, tx, ITSELF)
            port = await nics.bind(op, await _port(op, port_id), binding)
            tx.after_commit(self._app.wake)
            return (await portinfo.ports(op, [port]))[0]

    async def unbind_port(self, port_id: str) -> None:
        await self._each(ITSELF, [port_id], nics.unbind)

    async def delete_port(self, port_id: str) -> None:
        await self._each(ITSELF, [port_id], nics.remove)

    async def release_device(self, device_id: str) -> None:
        async with self._app.db.read() as tx:
            found = await port_rows.of_device(tx, device_id)
        await self._each(ITSELF, [port.id for port in found if _is_guest(port)], nics.release)

    async def detach_port(self, device_id: str, port_id: str) -> None:
        async with self._app.db.read() as tx:
            port = await rows.find(tx, nouns.Port, port_id)
        if port is not None and port.device_id == device_id and _is_guest(port):
            await self._each(ITSELF, [port_id], nics.release)

    async def _each(self, caller: Caller, port_ids: Sequence[str], do: Any) -> None:
        if not port_ids:
            return
        async with self._app.db.write() as tx:
            op = Op(self._app, tx, caller)
            for port_id in port_ids:
                port = await rows.find(tx, nouns.Port, port_id)
                if port is not None:
                    await do(op, port)
            tx.after_commit(self._app.wake)

    async def list_ports(self, device_ids: tuple[str, ...]) -> dict[str, list[PortInfo]]:
        async with self._app.db.read() as tx:
            op = Op(self._app, tx, ITSELF)
            found = await port_rows.of_devices(tx, device_ids)
            shown = await portinfo.ports(op, found)
        by_device: dict[str, list[PortInfo]] = {id_: [] for id_ in device_ids}
        for port in shown:
            by_device[port.device_id].append(port)
        return by_device

    async def list_addresses(self, device_ids: tuple[str, ...]) -> dict[str, list[PortAddresses]]:
        async with self._app.db.read() as tx:
            return await portinfo.addresses(tx, device_ids)

    async def get_port(self, caller: Caller, port_id: str) -> PortInfo:
        async with self._app.db.read() as tx:
            op = Op(self._app, tx, caller)
            port = await _port(op, port_id)
            if not (op.sees_all or port.project_id == caller.project_id):
                raise fault("PortNotFound", port_id=port_id)
            return (await portinfo.ports(op, [port]))[0]

    async def find_devices(self, ip: str, caller: Caller | None = None) -> list[str]:
        try:
            wanted = re.compile(ip)
        except re.error as e:
            raise Invalid(f"Not a regular expression: {ip}", code="regex", field="ip") from e
        project_id = None if caller is None or caller.is_admin else caller.project_id
        async with self._app.db.read() as tx:
            pairs = await port_rows.devices_by_address(tx, project_id)
        return list(dict.fromkeys(d for address, d in pairs if wanted.search(address)))

    async def list_security_groups(
        self, caller: Caller, names: tuple[str, ...] = ()
    ) -> list[SecurityGroupInfo]:
        async with self._app.db.write() as tx:
            op = Op(self._app, tx, caller)
            project_id = caller.project_id or ""
            default = await nics.default_group(op, project_id)
            if names:
                ids = await nics.group_ids(op, project_id, names)
                known = await rows.by_ids(tx, nouns.SecurityGroup, [default, *ids])
                found = [known[id_] for id_ in ids]
            else:
                found = await groups.of_project(tx, project_id)
        return [
            SecurityGroupInfo(id=group.id, name=group.name, description=group.description)
            for group in found
        ]

    async def change_security_groups(
        self, caller: Caller, device_id: str, add: tuple[str, ...], remove: tuple[str, ...]
    ) -> None:
        async with self._app.db.write() as tx:
            await nics.change_groups(Op(self._app, tx, caller), device_id, add, remove)
            tx.after_commit(self._app.wake)

    async def quota_usage(self, project_id: str) -> dict[str, QuotaUsage]:
        async with self._app.db.read() as tx:
            limits = await quota.limits(Op(self._app, tx, ITSELF), project_id)
            return {
                name: QuotaUsage(limits[name], await rows.count(tx, noun, project_id))
                for name, noun in quota.COUNTED.items()
            }

    async def port_owner(
        self, port_id: str = "", network_id: str = "", fixed_ip: str = ""
    ) -> PortOwner:
        async with self._app.db.read() as tx:
            port = (
                await rows.find(tx, nouns.Port, port_id)
                if port_id
                else await port_rows.at_address(tx, network_id, fixed_ip)
            )
        if port is None:
            raise fault("PortNotFound", port_id=port_id or fixed_ip)
        return PortOwner(
            port_id=port.id,
            network_id=port.network_id,
            device_id=port.device_id,
            project_id=port.project_id,
            mac_address=port.mac_address,
            addresses=tuple(ip["ip_address"] for ip in port.fixed_ips),
        )

    async def register_agent(self, agent: AgentInfo) -> None:
        await binding.register(self._app, agent)

    async def report(self, report: HostReport) -> None:
        await binding.observe(
            self._app,
            report.host,
            {port.port_id: port.up for port in report.ports},
            complete=report.complete,
        )

    async def doctor(self, repair: bool) -> list[Finding]:
        return await self._examine(repair)


def _is_guest(port: nouns.Port) -> bool:
    return not port.device_owner.startswith("network:")


async def _port(op: Op, port_id: str) -> nouns.Port:
    port = await rows.find(op.tx, nouns.Port, port_id)
    if port is None:
        raise fault("PortNotFound", port_id=port_id)
    return port
