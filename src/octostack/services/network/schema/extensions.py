# SPDX-License-Identifier: Apache-2.0
"""What is offered beyond the core API, by alias. Only what is really done: clients decide by it.

Clients look an extension up by its alias or by its name, so the names are Neutron's.
"""

# alias -> (name, what it means here)
EXTENSIONS: dict[str, tuple[str, str]] = {
    "address-scope": ("Address scope", "Address scopes: pools whose addresses do not overlap"),
    "agent": ("agent", "The hosts' agents"),
    "allowed-address-pairs": ("Allowed Address Pairs", "Other source addresses of a port"),
    "auto-allocated-topology": (
        "Auto Allocated Topology Services",
        "A network and a router made when first needed",
    ),
    "availability_zone": ("Availability Zone", "Availability zones"),
    "binding": ("Port Binding", "Where a port is plugged"),
    "default-subnetpools": ("Default Subnetpools", "A pool for subnets that name none"),
    "dns-domain-ports": ("dns_domain for ports", "Domains of ports"),
    "dns-integration": ("DNS Integration", "Names of ports"),
    "empty-string-filtering": ("Empty String Filtering Extension", "Filters for an empty text"),
    "ext-gw-mode": ("Neutron L3 Configurable external gateway mode", "SNAT on or off at a gateway"),
    "external-net": ("Neutron external network", "External networks"),
    "extra_dhcp_opt": ("Neutron Extra DHCP options", "DHCP options of a port"),
    "extraroute": ("Neutron Extra Route", "Static routes of a router"),
    "extraroute-atomic": (
        "Atomically add/remove extra routes",
        "Static routes added and removed one by one",
    ),
    "filter-validation": ("Filter parameters validation", "Unknown filters are refused"),
    "fip-port-details": (
        "Floating IP Port Details Extension",
        "The port behind a floating address",
    ),
    "ip-substring-filtering": ("IP address substring filtering", "Ports by a part of an address"),
    "net-mtu": ("Network MTU", "The largest packet of a network"),
    "net-mtu-writable": ("Network MTU (writable)", "The largest packet of a network can be set"),
    "network-ip-availability": ("Network IP Availability", "How many addresses are left"),
    "network_availability_zone": ("Network Availability Zone", "Availability zones of networks"),
    "pagination": ("Pagination support", "Lists in pages"),
    "port-mac-address-regenerate": (
        "Neutron Port MAC address regenerate",
        "A new MAC by giving null",
    ),
    "port-security": ("Port Security", "Source addresses of a port are enforced, or not"),
    "project-id": ("project_id field enabled", "project_id besides tenant_id"),
    "provider": ("Provider Network", "What carries a network"),
    "quota-check-limit": (
        "Quota engine limit check",
        "Limits below what is used are refused on demand",
    ),
    "quota_details": ("Quota details management support", "Quotas with their use"),
    "quotas": ("Quota management support", "Quotas"),
    "rbac-address-scope": ("Add address_scope type to RBAC", "Address scopes lent to others"),
    "rbac-policies": ("RBAC Policies", "Networks lent to others"),
    "rbac-security-groups": (
        "Add security_group type to network RBAC",
        "Security groups lent to others",
    ),
    "rbac-subnetpool": ("Add subnetpool type to RBAC", "Subnet pools lent to others"),
    "revision-if-match": (
        "If-Match constraints based on revision_number",
        "Changes on a known revision only",
    ),
    "router": ("Neutron L3 Router", "Routers and floating addresses"),
    "router_availability_zone": ("Router Availability Zone", "Availability zones of routers"),
    "security-group": ("security-group", "Security groups"),
    "security-groups-default-rules": (
        "Default rules for security groups",
        "The rules that new security groups start with",
    ),
    "security-groups-normalized-cidr": (
        "Normalized CIDR field for security group rules",
        "Address prefixes of rules as they are used",
    ),
    "security-groups-rules-belongs-to-default-sg": (
        "Security group rule belongs to the project's default security group",
        "Rules by whether their group is a default",
    ),
    "security-groups-shared-filtering": (
        "Security group filtering on the shared field",
        "Security groups by whether they are shared",
    ),
    "service-type": ("Neutron Service Type Management", "Who provides a service"),
    "sort-key-validation": ("Sort keys validation", "Unknown sort keys are refused"),
    "sorting": ("Sorting support", "Lists in an order"),
    "standard-attr-description": ("standard-attr-description", "Descriptions"),
    "standard-attr-revisions": ("Resource revision numbers", "Revision numbers"),
    "standard-attr-tag": ("Tag support for resources with standard attribute", "Tags"),
    "standard-attr-timestamp": ("Resource timestamps", "Times of making and change"),
    "stateful-security-group": (
        "Stateful security group",
        "Security groups that track connections, or not",
    ),
    "subnet-dns-publish-fixed-ip": ("Subnet DNS publish fixed IP", "Names of fixed addresses"),
    "subnet-external-network": (
        "Subnet belongs to an external network",
        "Subnets by whether their network is external",
    ),
    "subnet-service-types": ("Subnet service types", "Subnets for certain ports only"),
    "subnet_allocation": ("Subnet Allocation", "Subnets cut from pools"),
    "subnetpool-prefix-ops": (
        "Subnet Pool Prefix Operations",
        "Prefixes added to and taken from pools",
    ),
    "tag-creation": ("Tag creation extension", "Tags added to those there are"),
    "tag-ports-during-bulk-creation": (
        "Tag Ports During Bulk Creation",
        "Tags given with a new port",
    ),
    "uplink-status-propagation": (
        "Uplink status propagation extension",
        "Whether a port follows its uplink",
    ),
}
