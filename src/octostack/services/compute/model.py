# SPDX-License-Identifier: Apache-2.0
"""The nouns of Compute as frozen structs; no behaviour."""

from typing import Any

import msgspec


class Flavor(msgspec.Struct, frozen=True, kw_only=True):
    """A size of server. `id` is what the API calls flavorid: free text chosen by the admin."""

    id: str
    name: str
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    disabled: bool = False
    description: str | None = None
    extra_specs: dict[str, str] = {}


class KeyPair(msgspec.Struct, frozen=True, kw_only=True):
    """A public key (or X.509 certificate) of one user."""

    id: int = 0
    user_id: str
    name: str
    type: str = "ssh"
    fingerprint: str
    public_key: str
    created_at: float = 0.0


class ServerGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Servers that want to be together or apart; members are counted while they live."""

    id: str
    project_id: str
    user_id: str
    name: str
    policy: str
    rules: dict[str, Any] = {}
    members: tuple[str, ...] = ()
    created_at: float = 0.0


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """Hosts with something in common, said by metadata; `availability_zone` is one such key."""

    id: int
    uuid: str
    name: str
    hosts: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    created_at: float = 0.0
    updated_at: float | None = None


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A host with its agent: the API's service and hypervisor in one row."""

    id: int
    uuid: str  # of the service
    host: str
    provider_id: str  # resource provider in Placement, hypervisor id from 2.53 on
    hypervisor_hostname: str
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    facts: dict[str, Any] = {}  # cpu model, topology, features, architecture, simulated
    disabled: bool = False
    disabled_reason: str | None = None
    forced_down: bool = False
    seen_at: float = 0.0
    booted_at: float = 0.0
    created_at: float = 0.0
    updated_at: float | None = None
    binary: str = "nova-compute"
    zone: str = ""
    report_count: int = 0


class NicRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One interface as asked for at create; exactly one of network and port is set."""

    network_id: str = ""
    port_id: str = ""
    fixed_ip: str = ""
    tag: str = ""


class Nic(msgspec.Struct, frozen=True, kw_only=True):
    """One interface of a server as Network told it last: the API's `addresses` come from here."""

    port_id: str
    network_id: str
    network_name: str
    mac: str
    fixed_ips: tuple[tuple[str, str], ...] = ()  # (address, subnet id)
    floating_ips: tuple[tuple[str, str], ...] = ()  # (fixed address, floating address)
    mtu: int = 1500
    made_by_us: bool = True  # a port made at boot goes with the server; one that was given stays
    tag: str = ""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What Compute keeps of an image it boots from."""

    id: str
    name: str = ""
    status: str = "active"
    disk_format: str = "qcow2"
    size_bytes: int = 0
    min_disk_gb: int = 0
    min_ram_mb: int = 0
    virtual_size_bytes: int = 0
    sha512: str = ""
    owner: str = ""
    properties: dict[str, str] = {}


class BlockDevice(msgspec.Struct, frozen=True, kw_only=True):
    """One disk that needs no volume: the image's root disk, an ephemeral or a swap disk."""

    source: str  # image | blank
    image_id: str = ""
    boot_index: int | None = None
    size_gb: int = 0
    guest_format: str = ""
    device_name: str = ""
    disk_bus: str = ""
    tag: str = ""


class NewServer(msgspec.Struct, frozen=True, kw_only=True):
    """What POST /servers asks for, of whatever version the body was."""

    name: str
    flavor_id: str
    image_id: str = ""
    description: str | None = None
    hostname: str = ""
    metadata: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    networks: tuple[NicRequest, ...] | str = "default"  # or auto | none
    security_groups: tuple[str, ...] = ()
    key_name: str | None = None
    admin_pass: str | None = None
    user_data: str | None = None
    personality: tuple[tuple[str, str], ...] = ()  # (path, base64)
    config_drive: bool = False
    availability_zone: str | None = None
    host: str | None = None
    hypervisor_hostname: str | None = None
    hints: dict[str, Any] = {}
    block_devices: tuple[BlockDevice, ...] = ()
    disk_config: str = "MANUAL"
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    min_count: int = 1
    max_count: int = 1
    return_reservation_id: bool = False


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a server is in ERROR, in the API's form."""

    code: int
    message: str
    created_at: float
    details: str = ""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server: what is wanted, what was seen, and what is being done about the difference.

    `generation` rises with each order; an agent's report of an older one changes nothing.
    `task_state` names the order under way; `None` means nothing is.
    """

    id: str
    seq: int = 0
    project_id: str
    user_id: str
    name: str
    description: str | None = None
    hostname: str = ""
    image_id: str = ""
    flavor: Flavor
    vm_state: str = "building"
    task_state: str | None = "scheduling"
    power_state: int = 0
    generation: int = 1
    host: str | None = None
    node: str | None = None
    availability_zone: str | None = None  # of the host
    pinned_zone: str | None = None  # as asked for
    key_name: str | None = None
    locked_by: str | None = None
    locked_reason: str | None = None
    config_drive: bool = False
    user_data: str | None = None
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    metadata: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    nics: tuple[Nic, ...] = ()
    fault: Fault | None = None
    reservation_id: str = ""
    launch_index: int = 0
    disk_config: str = "MANUAL"
    root_device: str = "/dev/vda"
    progress: int = 0
    group_id: str | None = None
    order: dict[str, Any] = {}  # what is needed to carry out the order; see loops/
    boot: dict[str, Any] = {}  # NewServer parts the machine is made of: networks, disks, keys
    created_at: float = 0.0
    updated_at: float | None = None
    launched_at: float | None = None
    terminated_at: float | None = None
    deleted_at: float | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Something a user did to a server."""

    id: int = 0
    server_id: str
    action: str
    request_id: str
    user_id: str
    project_id: str
    message: str | None = None
    started_at: float = 0.0
    updated_at: float | None = None
    finished_at: float | None = None


class ActionEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One step that an action led to."""

    action_id: int
    event: str
    started_at: float
    finished_at: float | None = None
    result: str | None = None
    host: str | None = None
    details: str | None = None


class ConsoleToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that opens one console of one server until `expires_at`; only its hash is kept."""

    token_hash: str
    server_id: str
    kind: str
    host: str
    address: str
    expires_at: float


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a project (or one user of it) holds now."""

    instances: int = 0
    cores: int = 0
    ram: int = 0


class Pattern(msgspec.Struct, frozen=True):
    """What to look for in a text, letters of either case; `plain`: as it stands, no expression."""

    text: str
    plain: bool


class ServerFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which servers a list wants; None means any. All conditions must hold."""

    project_id: str | None = None
    user_id: str | None = None
    ids: tuple[str, ...] | None = None
    name: Pattern | None = None
    equals: dict[str, Any] = {}  # column -> value
    vm_states: tuple[str, ...] | None = None
    task_states: tuple[str | None, ...] | None = None
    flavor_id: str | None = None
    image_id: str | None = None
    host: str | None = None
    locked: bool | None = None
    deleted: bool = False
    with_deleted: bool = False
    changes_since: float | None = None
    changes_before: float | None = None
    tags_all: tuple[str, ...] = ()
    tags_any: tuple[str, ...] = ()
    tags_none: tuple[str, ...] = ()
    tags_none_any: tuple[str, ...] = ()
    addresses: tuple[Pattern, ...] = ()
    metadata: dict[str, str] = {}


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """How a list is sorted and cut."""

    sort: tuple[tuple[str, str], ...] = (("created_at", "desc"), ("id", "desc"))
    limit: int = 1000
    marker: str | None = None


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of Compute; the defaults are those operators know from Nova."""

    cpu_allocation_ratio: float = 4.0
    ram_allocation_ratio: float = 1.0
    disk_allocation_ratio: float = 1.0
    reserved_host_memory_mb: int = 512
    reserved_host_disk_gb: int = 0
    service_down_time_s: float = 60.0
    heartbeat_s: float = 10.0
    build_attempts: int = 3
    build_timeout_s: float = 600.0
    task_timeout_s: float = 120.0
    vif_timeout_s: float = 120.0
    vif_is_fatal: bool = True
    stop_timeout_s: float = 60.0
    console_ttl_s: float = 600.0
    viewer_dir: str = ""  # noVNC's files; empty: where `make setup` or Debian puts them
    metadata_cache_s: float = 15.0
    max_limit: int = 1000
    default_schedule_zone: str | None = None
    default_floating_pool: str = "public"  # of old clients that name none
    dhcp_domain: str = "novalocal"
    keep_deleted_s: float = 30 * 86400.0
    weights: dict[str, float] = {}
    flavors: bool = True  # make the m1.* flavors in an empty database
