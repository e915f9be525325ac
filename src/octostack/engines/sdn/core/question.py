# SPDX-License-Identifier: Apache-2.0
"""`octostack trace`: a question about a packet, asked of the flows and answered in words."""

from collections.abc import Iterable
from typing import Final

from octostack.base.errors import Invalid, NotFound
from octostack.contracts import network_agent as intents
from octostack.contracts.network_agent import TraceRequest, TraceResult, TraceStep
from octostack.engines.sdn.core import model, pipeline, trace
from octostack.engines.sdn.core.model import Fabric, Numbers, Place
from octostack.engines.sdn.core.trace import Packet
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import text

_PROTOCOLS: Final = {"icmp": 1, "tcp": 6, "udp": 17}
_ASKED_OF_AGENT: Final = {"service": "dhcp", "learned": "arp for the next hop"}
_BROADCAST: Final = 0xFFFFFFFFFFFF


class Asked:
    """A host as a question sees it."""

    def __init__(self, fabric: Fabric, numbers: Numbers, place: Place) -> None:
        self._fabric = fabric
        self._numbers = numbers
        self._place = place

    def answer(self, request: TraceRequest, flows: Iterable[model.Flow]) -> TraceResult:
        """Follow the packet. Raises NotFound, Invalid."""
        tables = trace.Tables(flows)
        tracer = trace.Tracer(tables, established=request.established)
        result = tracer.run(self.packet(request))
        outputs = tuple(dict.fromkeys(self._name(*sent, result) for sent in result.outputs))
        steps = tuple(_step(step) for step in result.steps)
        return TraceResult(verdict=_verdict(outputs, result), outputs=outputs, steps=steps)

    def packet(self, request: TraceRequest) -> Packet:
        """The packet that a question describes."""
        if request.protocol not in (*_PROTOCOLS, "arp", "dhcp"):
            what = f"{request.protocol!r} is none of icmp, tcp, udp, arp, dhcp"
            raise Invalid(what, code="trace.protocol", field="protocol")
        port = self._fabric.ports.get(request.port_id)
        if request.port_id and port is None:
            raise NotFound(f"port {request.port_id} is not on this host", code="trace.port")
        packet = self._link(request, port)
        if request.protocol == "arp":
            return {**packet, **_arp(request, packet)}
        if request.protocol == "dhcp":
            ends = {"ip_proto": 17, "udp_src": 68, "udp_dst": 67, "ip_dst": 0xFFFFFFFF}
            return {**packet, "eth_dst": _BROADCAST, "eth_type": 0x0800, "ip_ttl": 64, **ends}
        return {**packet, **_ip(request, self._source(request, port))}

    def _link(self, request: TraceRequest, port: intents.LocalPort | None) -> Packet:
        if port is not None:
            src = request.src_mac or port.mac
            dst = request.dst_mac or self._resolve(port.network_id, request.dst, port)
            number = self._numbers[f"port/{port.id}"]
        else:
            number = self._place.physical.get(request.from_external, 0)
            if not number:
                raise NotFound(
                    f"no physical network {request.from_external!r} here", code="trace.external"
                )
            src = request.src_mac or "02:00:00:00:00:01"
            dst = request.dst_mac or self._resolve_outside(request.dst)
        return {"in_port": number, "eth_src": model.mac(src), "eth_dst": model.mac(dst)}

    def _source(self, request: TraceRequest, port: intents.LocalPort | None) -> int:
        if request.src:
            return model.address(request.src)
        own = model.v4(port.addresses) if port is not None else []
        if not own:
            raise Invalid("say where the packet comes from", code="trace.src", field="src")
        return model.address(own[0].address)

    def _resolve(self, network_id: str, dst: str, port: intents.LocalPort) -> str:
        """Whom the guest would send a packet for `dst` to: the host itself, or its gateway."""
        if not dst:
            return text.mac(_BROADCAST)
        wanted = model.address(dst)
        here = [s for s in self._fabric.subnets_of.get(network_id, []) if not model.is_v6(s.cidr)]
        near = any(_holds(subnet, wanted) for subnet in here)
        own = {a.subnet_id for a in port.addresses}
        gateways = [s.gateway_ip for s in here if s.gateway_ip and s.id in own]
        hop = dst if near or not gateways else gateways[0]
        return self._mac_of(network_id, hop) or text.mac(_BROADCAST)

    def _mac_of(self, network_id: str, address: str) -> str:
        ports: tuple[intents.LocalPort | intents.RemotePort, ...] = (
            *self._fabric.ports_of.get(network_id, ()),
            *self._fabric.remotes_of.get(network_id, ()),
        )
        for port in ports:
            if any(fixed.address == address for fixed in port.addresses):
                return port.mac
        for router in self._fabric.routers.values():
            for foot in router.interfaces:
                if foot.network_id == network_id and any(
                    fixed.address == address for fixed in foot.addresses
                ):
                    return foot.mac
        return ""

    def _resolve_outside(self, dst: str) -> str:
        for floating in self._fabric.floating_ips.values():
            if floating.address == dst:
                return floating.mac
        for router in self._fabric.routers.values():
            gateway = router.gateway
            if gateway is not None and any(a.address == dst for a in gateway.addresses):
                return gateway.mac
        return text.mac(_BROADCAST)

    def _name(self, port: int, packet: Packet, result: trace.Result) -> str:
        if port == acts.CONTROLLER:
            last = pipeline.NAMES.get(result.steps[-1].table, "")
            return _ASKED_OF_AGENT.get(last, "agent")
        if port == pipeline.VXLAN_PORT:
            where = text.value("tun_dst", packet.get("tun_dst", 0))
            return f"tunnel:{where}"
        if port == pipeline.METADATA_PORT:
            return "metadata"
        for name, number in self._place.physical.items():
            if number == port:
                return f"external:{name}"
        owner = self._numbers.owner(port)
        return owner.replace("/", ":", 1) if owner else f"openflow:{port}"


def _step(step: trace.Step) -> TraceStep:
    table, flow, note = trace.describe(step)
    return TraceStep(table=table, flow=flow, note=note)


def _holds(subnet: intents.Subnet, address: int) -> bool:
    network, mask, _ = model.prefix(subnet.cidr)
    return address & mask == network


def _arp(request: TraceRequest, packet: Packet) -> Packet:
    return {
        "eth_dst": _BROADCAST,
        "eth_type": 0x0806,
        "arp_op": 1,
        "arp_sha": packet["eth_src"],
        "arp_spa": model.address(request.src or "0.0.0.0"),
        "arp_tpa": model.address(request.dst),
    }


def _ip(request: TraceRequest, source: int) -> Packet:
    protocol = _PROTOCOLS[request.protocol]
    out = {
        "eth_type": 0x0800,
        "ip_src": source,
        "ip_dst": model.address(request.dst),
        "ip_proto": protocol,
        "ip_ttl": 64,
    }
    if protocol == trace.ICMP:
        return {**out, "icmp_type": trace.ECHO_REQUEST, "icmp_id": 1}
    src, dst = trace.layer4(protocol)
    return {**out, src: request.src_port, dst: request.dst_port}


def _verdict(outputs: tuple[str, ...], result: trace.Result) -> str:
    if outputs:
        return "delivered to " + ", ".join(outputs)
    last = result.steps[-1]
    table = pipeline.TABLES.get(pipeline.NAMES.get(last.table, ""))
    why = f"{table.name} ({table.purpose})" if table else str(last.table)
    return f"dropped in table {why}"
