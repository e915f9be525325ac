# SPDX-License-Identifier: Apache-2.0
"""Every failure of the API by Neutron's name, with its kind and its text.

Clients and tempest look at the type and sometimes at the words, so both are those of Neutron
(neutron-lib's exceptions, 2026.2). ``raise fault("PortNotFound", port_id=x)``.
"""

from typing import Any

from octostack.base.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OctoError,
    OverQuota,
    Unavailable,
)

_TABLE: dict[type[OctoError], dict[str, str]] = {
    NotFound: {
        "NetworkNotFound": "Network {net_id} could not be found.",
        "SubnetNotFound": "Subnet {subnet_id} could not be found.",
        "SubnetPoolNotFound": "Subnet pool {subnetpool_id} could not be found.",
        "AddressScopeNotFound": "Address scope {address_scope_id} could not be found.",
        "PortNotFound": "Port {port_id} could not be found.",
        "RouterNotFound": "Router {router_id} could not be found",
        "FloatingIPNotFound": "Floating IP {floatingip_id} could not be found",
        "SecurityGroupNotFound": "Security group {id} does not exist",
        "SecurityGroupRuleNotFound": "Security group rule {id} does not exist",
        "DefaultSecurityGroupRuleNotFound": "Default Security group rule {id} does not exist",
        "RbacPolicyNotFound": "RBAC policy of type {object_type} with ID {id} not found",
        "AgentNotFound": "Agent {id} could not be found",
        "AvailabilityZoneNotFound": "AvailabilityZone {availability_zone} could not be found.",
        "ExtensionNotFound": "Extension with alias {alias} does not exist",
        "TagResourceNotFound": "Resource {resource} {resource_id} could not be found.",
        "TagNotFound": "Tag {tag} could not be found.",
        "RouterInterfaceNotFound": "Router {router_id} does not have an interface with id "
        "{port_id}",
        "RouterInterfaceNotFoundForSubnet": "Router {router_id} has no interface on subnet "
        "{subnet_id}",
        "ExternalGatewayForFloatingIPNotFound": "External network {external_network_id} is not "
        "reachable from subnet {subnet_id}.  Therefore, cannot associate Port {port_id} with a "
        "Floating IP.",
        "TenantQuotaNotFound": "Quota for project {tenant_id} could not be found.",
        "AutoAllocationFailure": "Deployment error: {reason}.",
    },
    Invalid: {
        "HTTPBadRequest": "{reason}",
        "BadRequest": "Bad {resource} request: {msg}.",
        "InvalidInput": "Invalid input for operation: {error_message}.",
        "InvalidIpForNetwork": "IP address {ip_address} is not a valid IP for any of the subnets "
        "on the specified network.",
        "InvalidIpForSubnet": "IP address {ip_address} is not a valid IP for the specified subnet.",
        "SubnetMismatchForPort": "Subnet on port {port_id} does not match the requested subnet "
        "{subnet_id}.",
        "ExternalIpAddressExhausted": "Unable to find any IP address on external network {net_id}.",
        "InvalidCIDR": "Invalid CIDR {input} given as IP prefix.",
        "InvalidAllocationPool": "The allocation pool {pool} is not valid.",
        "OutOfBoundsAllocationPool": "The allocation pool {pool} spans beyond the subnet cidr "
        "{subnet_cidr}.",
        "HostRoutesExhausted": "Unable to complete operation for {subnet_id}. The number of host "
        "routes exceeds the limit {quota}.",
        "DNSNameServersExhausted": "Unable to complete operation for {subnet_id}. The number of "
        "DNS nameservers exceeds the limit {quota}.",
        "InvalidSubnetServiceType": "Invalid input for operation: Subnet service type "
        "{service_type} does not correspond to a valid device owner..",
        "EmptySubnetPoolPrefixList": "Empty subnet pool prefix list.",
        "PrefixVersionMismatch": "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.",
        "UnsupportedMinSubnetPoolPrefix": "Prefix '{prefix}' not supported in IPv{version} pool.",
        "IllegalSubnetPoolPrefixBounds": "Illegal prefix bounds: {prefix_type}={prefixlen}, "
        "{base_prefix_type}={base_prefixlen}.",
        "IllegalSubnetPoolPrefixUpdate": "Illegal update to prefixes: {msg}.",
        "IllegalSubnetPoolUpdate": "Illegal subnetpool update : {reason}.",
        "IllegalSubnetPoolAssociationToAddressScope": "Illegal subnetpool association: subnetpool "
        "{subnetpool_id} cannot be associated with address scope {address_scope_id}.",
        "IllegalSubnetPoolIpVersionAssociationToAddressScope": "Illegal subnetpool association: "
        "subnetpool {subnetpool_id} cannot associate with address scope {address_scope_id} "
        "because subnetpool ip_version is not {ip_version}.",
        "MinPrefixSubnetAllocationError": "Unable to allocate subnet with prefix length "
        "{prefixlen}, minimum allowed prefix is {min_prefixlen}.",
        "MaxPrefixSubnetAllocationError": "Unable to allocate subnet with prefix length "
        "{prefixlen}, maximum allowed prefix is {max_prefixlen}.",
        "SubnetPoolDeleteError": "Unable to delete subnet pool: {reason}.",
        "NetworkSubnetPoolAffinityError": "Subnets hosted on the same network must be allocated "
        "from the same subnet pool.",
        "NetworkAddressScopeAffinityError": "Subnets of the same address family hosted on the same "
        "network must all participate in the same address scope.",
        "AddressScopeUpdateError": "Unable to update address scope {address_scope_id} : {reason}.",
        "InvalidRoutes": "Invalid format for routes: {routes}, {reason}",
        "RoutesExhausted": "Unable to complete operation for {router_id}. The number of routes "
        "exceeds the maximum {quota}.",
        "AllowedAddressPairsMissingIP": "AllowedAddressPair must contain ip_address",
        "DuplicateAddressPairInRequest": "Request contains duplicate address pair: mac_address "
        "{mac_address} ip_address {ip_address}.",
        "AllowedAddressPairExhausted": "The number of allowed address pair exceeds the maximum "
        "{quota}.",
        "PortSecurityAndIPRequiredForSecurityGroups": "Port security must be enabled and port must "
        "have an IP address in order to use security groups.",
        "SecurityGroupInvalidPortRange": "For TCP/UDP protocols, port_range_min must be <= "
        "port_range_max",
        "SecurityGroupInvalidProtocolForPort": "Ports cannot be specified for protocol {protocol}. "
        "Ports are only supported for {valid_port_protocols}.",
        "SecurityGroupInvalidPortValue": "Invalid value for port {port}",
        "SecurityGroupInvalidIcmpValue": "Invalid value for ICMP {field} ({attr}) {value}. It must "
        "be 0 to 255.",
        "SecurityGroupEthertypeConflictWithProtocol": "Invalid ethertype {ethertype} for protocol "
        "{protocol}.",
        "SecurityGroupMissingIcmpType": "ICMP code (port-range-max) {value} is provided but ICMP "
        "type (port-range-min) is missing.",
        "SecurityGroupRuleInvalidProtocol": "Security group rule protocol {protocol} not "
        "supported. Only protocol values {values} and integer representations [0 to 255] are "
        "supported.",
        "SecurityGroupRulesNotSingleProject": "Multiple project_ids in bulk security group rule "
        "create not allowed",
        "SecurityGroupMultipleRemoteEntites": "Only one of remote_ip_prefix or remote_group_id or "
        "remote_address_group_id may be provided.",
        "SecurityGroupProtocolRequiredWithPorts": "Must also specify protocol if port range is "
        "given.",
        "SecurityGroupNotSingleGroupRules": "Only allowed to update rules for one security profile "
        "at a time",
        "SecurityGroupRuleParameterConflict": "Conflicting value ethertype {ethertype} for CIDR "
        "{cidr}",
        "SecurityGroupRuleInvalidEtherType": "Security group rule for ethertype '{ethertype}' not "
        "supported. Allowed values are {values}.",
        "QuotaMissingTenant": "Tenant-id was missing from quota request.",
        "DeviceIDNotOwnedByTenant": "The following device_id {device_id} is not owned by your "
        "project or matches another project router.",
        "ExternalNetworkAttachForbidden": "It is not allowed to create an interface on external "
        "network {net_id}",
        "NetworkRequiresSubnet": "Network {net_id} requires a subnet in order to boot instances "
        "on.",
        "PortRequiresFixedIP": "Port {port_id} requires a FixedIP in order to be used.",
    },
    Conflict: {
        "NetworkInUse": "Unable to complete operation on network {net_id}. {reason}.",
        "SubnetInUse": "Unable to complete operation on subnet {subnet_id}: {reason}.",
        "SubnetPoolInUse": "Unable to complete operation on subnet pool {subnet_pool_id}. "
        "{reason}.",
        "PortInUse": "Unable to complete operation on port {port_id} for network {net_id}. Port "
        "already has an attached device {device_id}.",
        "ServicePortInUse": "Port {port_id} cannot be deleted directly via the port API: {reason}.",
        "PortBound": "Unable to complete operation on port {port_id}, port is already bound, port "
        "type: {vif_type}, old_mac {old_mac}, new_mac {new_mac}.",
        "MacAddressInUse": "Unable to complete operation for network {net_id}. The mac address "
        "{mac} is in use.",
        "IpAddressAlreadyAllocated": "IP address {ip} already allocated in subnet {subnet_id}",
        "IpAddressGenerationFailure": "No more IP addresses available on network {net_id}.",
        "VlanIdInUse": "Unable to create the network. The VLAN {vlan_id} on physical network "
        "{physical_network} is in use.",
        "TunnelIdInUse": "Unable to create the network. The tunnel ID {tunnel_id} is in use.",
        "FlatNetworkInUse": "Unable to create the flat network. Physical network "
        "{physical_network} is in use.",
        "InvalidSharedSetting": "Unable to reconfigure sharing settings for network {network}. "
        "Multiple projects are using it.",
        "OverlappingAllocationPools": "Found overlapping allocation pools: {pool_1} {pool_2} for "
        "subnet {subnet_cidr}.",
        "GatewayConflictWithAllocationPools": "Gateway ip {ip_address} conflicts with allocation "
        "pool {pool}.",
        "GatewayIpInUse": "Current gateway ip {ip_address} already in use by port {port_id}. "
        "Unable to update.",
        "UnsupportedPortDeviceOwner": "Operation {op} is not supported for device_owner "
        "{device_owner} on port {port_id}.",
        "ExternalNetworkInUse": "External network {net_id} cannot be updated to be made "
        "non-external, since it has existing gateway ports.",
        "AddressScopePrefixConflict": "Failed to associate address scope: subnetpools within an "
        "address scope must have unique prefixes.",
        "AddressScopeInUse": "Unable to complete operation on address scope {address_scope_id}. "
        "There are one or more subnet pools in use on the address scope.",
        "RouterInUse": "Router {router_id} {reason}",
        "RouterInterfaceInUseByFloatingIP": "Router interface for subnet {subnet_id} on router "
        "{router_id} cannot be deleted, as it is required by one or more floating IPs.",
        "RouterInterfaceInUseByRoute": "Router interface for subnet {subnet_id} on router "
        "{router_id} cannot be deleted, as it is required by one or more routes.",
        "RouterExternalGatewayInUseByFloatingIp": "Gateway cannot be updated for router "
        "{router_id}, since a gateway to external network {net_id} is required by one or more "
        "floating IPs.",
        "FloatingIPPortAlreadyAssociated": "Cannot associate floating IP {floating_ip_address} "
        "({fip_id}) with port {port_id} using fixed IP {fixed_ip}, as that fixed IP already has a "
        "floating IP on external network {net_id}.",
        "AddressPairAndPortSecurityRequired": "Port Security must be enabled in order to have "
        "allowed address pairs on a port.",
        "PortSecurityPortHasSecurityGroup": "Port has security group associated. Cannot disable "
        "port security or IP address until security group is removed.",
        "SecurityGroupInUse": "Security Group {id} {reason}.",
        "SecurityGroupCannotRemoveDefault": "Insufficient rights for removing default security "
        "group.",
        "SecurityGroupCannotUpdateDefault": "Updating default security group not allowed.",
        "SecurityGroupDefaultAlreadyExists": "Default security group already exists.",
        "SecurityGroupRuleExists": "Security group rule already exists. Rule id is {rule_id}.",
        "DuplicateSecurityGroupRuleInPost": "Duplicate Security Group Rule in POST.",
        "DefaultSecurityGroupRuleExists": "Default security group rule already exists. Rule id is "
        "{rule_id}.",
        "RbacPolicyInUse": "RBAC policy on object {object_id} cannot be removed because other "
        "objects depend on it.\nDetails: {details}",
        "DuplicateRbacPolicy": "An RBAC policy already exists with those values.",
        "RevisionNumberConstraintFailed": "Constrained to {expected}, but current revision is "
        "{current}",
        "InvalidQuotaValue": "Change would make usage less than 0 for the following resources: "
        "{unders}.",
        "NetworkAmbiguous": "Multiple possible networks found, use a Network ID to be more "
        "specific.",
        "NoUniqueMatch": "Multiple {resource}s matching '{name}' found. Use an ID to be more "
        "specific.",
        "AutoAllocationConflict": "Deployment error: {reason}.",
    },
    OverQuota: {
        "OverQuota": "Quota exceeded for resources: {overs}.",
        "SubnetPoolQuotaExceeded": "Per-project subnet pool prefix quota exceeded.",
    },
    Forbidden: {
        "PolicyNotAuthorized": "rule:{action} is disallowed by policy",
        "HTTPForbidden": "{reason}",
    },
    Unavailable: {
        "NoNetworkAvailable": "Unable to create the network. No project network is available for "
        "allocation.",
        "NetworkMacAddressGenerationFailure": "Unable to generate unique mac on network {net_id}.",
        "SubnetAllocationError": "Failed to allocate subnet: {reason}.",
    },
}
_KINDS = {name: (kind, text) for kind, texts in _TABLE.items() for name, text in texts.items()}


def fault(name: str, /, **values: Any) -> OctoError:
    """The error of that name; `values` fill its text and travel as details."""
    kind, text = _KINDS[name]
    return kind(text.format(**values), code=name, **values)
