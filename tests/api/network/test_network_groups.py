# SPDX-License-Identifier: Apache-2.0
"""Security groups, quotas and what is lent to other projects."""

import pytest

pytestmark = pytest.mark.anyio
NOBODY = "00000000-0000-4000-8000-000000000000"


async def group_of(api, name="g", **more):
    body = {"security_group": {"name": name, **more}}
    return (await api("POST", "/security-groups", body))["security_group"]


def rule(group, **more):
    body = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}
    return {"security_group_rule": body | more}


async def test_every_project_has_a_default_group(member, stranger):
    [group] = (await member("GET", "/security-groups"))["security_groups"]
    assert group["name"] == "default" and group["stateful"] is True
    shapes = {
        (r["direction"], r["ethertype"], r["remote_group_id"])
        for r in group["security_group_rules"]
    }
    assert shapes == {
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
        ("ingress", "IPv4", group["id"]),
        ("ingress", "IPv6", group["id"]),
    }
    [theirs] = (await stranger("GET", "/security-groups"))["security_groups"]
    assert theirs["id"] != group["id"]
    path = f"/security-groups/{group['id']}"
    assert await member.fails("DELETE", path) == (409, "SecurityGroupCannotRemoveDefault")
    body = {"security_group": {"name": "other"}}
    assert await member.fails("PUT", path, body) == (409, "SecurityGroupCannotUpdateDefault")
    changed = await member("PUT", path, {"security_group": {"description": "d"}})
    assert changed["security_group"]["description"] == "d"
    body = {"security_group": {"name": "Default"}}
    wanted = (409, "SecurityGroupDefaultAlreadyExists")
    assert await member.fails("POST", "/security-groups", body) == wanted


async def test_a_new_group_lets_everything_out_and_nothing_in(member):
    group = await group_of(member, description="d", stateful=False)
    assert {r["direction"] for r in group["security_group_rules"]} == {"egress"}
    assert group["stateful"] is False
    made = await member("POST", "/security-group-rules", rule(group, port_range_min=22,
                                                              port_range_max=22))  # fmt: skip
    made = made["security_group_rule"]
    assert made["ethertype"] == "IPv4" and made["belongs_to_default_sg"] is False
    shown = (await member("GET", f"/security-groups/{group['id']}"))["security_group"]
    assert len(shown["security_group_rules"]) == 3
    assert shown["revision_number"] > group["revision_number"]
    listed = await member("GET", f"/security-group-rules?security_group_id={group['id']}")
    assert len(listed["security_group_rules"]) == 3
    await member("DELETE", f"/security-group-rules/{made['id']}", status=204)
    missing = await member.fails("GET", f"/security-group-rules/{made['id']}")
    assert missing == (404, "SecurityGroupRuleNotFound")


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"direction": "sideways"}, "HTTPBadRequest"),
        ({"protocol": "carrier-pigeon"}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": 256}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": True}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": {}}, "SecurityGroupRuleInvalidProtocol"),
        ({"ethertype": "IPv5"}, "SecurityGroupRuleInvalidEtherType"),
        ({"port_range_min": 5, "port_range_max": 4}, "SecurityGroupInvalidPortRange"),
        ({"port_range_min": 5}, "SecurityGroupInvalidPortRange"),
        ({"port_range_min": 70000, "port_range_max": 70000}, "SecurityGroupInvalidPortValue"),
        ({"port_range_min": 0, "port_range_max": 5}, "SecurityGroupInvalidPortValue"),
        ({"protocol": None, "port_range_min": 5, "port_range_max": 6},
         "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_max": 2}, "SecurityGroupMissingIcmpType"),
        ({"protocol": "gre", "port_range_min": 2, "port_range_max": 3},
         "SecurityGroupInvalidProtocolForPort"),
        ({"protocol": "ipv6-icmp"}, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"remote_ip_prefix": "fd00::/8"}, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "x"}, "InvalidCIDR"),
        ({"remote_ip_prefix": ["x"]}, "InvalidCIDR"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": NOBODY},
         "SecurityGroupMultipleRemoteEntites"),
        ({"remote_group_id": NOBODY}, "SecurityGroupNotFound"),
        ({"security_group_id": NOBODY}, "SecurityGroupNotFound"),
    ],
)  # fmt: skip
async def test_a_rule_that_makes_no_sense_is_refused(member, more, kind):
    group = await group_of(member)
    status = 404 if kind.endswith("NotFound") else 400
    assert await member.fails("POST", "/security-group-rules", rule(group, **more)) == (
        status,
        kind,
    )


async def test_the_same_rule_twice_is_refused(member):
    group = await group_of(member)
    await member("POST", "/security-group-rules", rule(group, remote_ip_prefix="0.0.0.0/0"))
    same = rule(group, protocol="6", remote_ip_prefix=None)
    wanted = (409, "SecurityGroupRuleExists")
    assert await member.fails("POST", "/security-group-rules", same) == wanted
    twice = {"security_group_rules": [rule(group, protocol="udp")["security_group_rule"]] * 2}
    wanted = (409, "DuplicateSecurityGroupRuleInPost")
    assert await member.fails("POST", "/security-group-rules", twice) == wanted


async def test_a_prefix_is_shown_as_it_was_given(member):
    group = await group_of(member)
    given = rule(group, remote_ip_prefix="10.2.3.124/24")
    made = (await member("POST", "/security-group-rules", given))["security_group_rule"]
    assert made["remote_ip_prefix"] == "10.2.3.124/24" and made["normalized_cidr"] == "10.2.3.0/24"
    same = rule(group, remote_ip_prefix="10.2.3.9/24")
    wanted = (409, "SecurityGroupRuleExists")
    assert await member.fails("POST", "/security-group-rules", same) == wanted
    lone = rule(group, remote_ip_prefix="10.2.3.9", protocol="udp")
    made = (await member("POST", "/security-group-rules", lone))["security_group_rule"]
    assert made["remote_ip_prefix"] == made["normalized_cidr"] == "10.2.3.9/32"


async def test_a_group_in_use_stays(member, stranger):
    network, _subnet = await member.wired()
    group = await group_of(member)
    path = f"/security-groups/{group['id']}"
    port = await member.port(network["id"], security_groups=[group["id"]])
    assert await member.fails("DELETE", path) == (409, "SecurityGroupInUse")
    found = (await member("GET", f"/ports?security_groups={group['id']}"))["ports"]
    assert [item["id"] for item in found] == [port["id"]]
    assert await stranger.fails("GET", path) == (404, "SecurityGroupNotFound")
    await member("PUT", f"/ports/{port['id']}", {"port": {"security_groups": []}})
    await member("DELETE", path, status=204)


async def test_a_group_lent_to_another_project(member, stranger):
    group = await group_of(member)
    body = {"object_type": "security_group", "object_id": group["id"],
            "target_tenant": "p2", "action": "access_as_shared"}  # fmt: skip
    lent = (await member("POST", "/rbac-policies", {"rbac_policy": body}))["rbac_policy"]
    shown = (await stranger("GET", f"/security-groups/{group['id']}"))["security_group"]
    assert shown["shared"] is True
    network, _subnet = await stranger.wired()
    port = await stranger.port(network["id"], security_groups=[group["id"]])
    path = f"/rbac-policies/{lent['id']}"
    assert await member.fails("DELETE", path) == (409, "RbacPolicyInUse")
    assert (await stranger.fails("DELETE", path))[0] == 404
    await stranger("DELETE", f"/ports/{port['id']}")
    await member("DELETE", path, status=204)
    gone = await stranger.fails("GET", f"/security-groups/{group['id']}")
    assert gone == (404, "SecurityGroupNotFound")


async def test_a_network_lent_to_another_project(member, stranger, callers):
    network, _subnet = await member.wired()
    body = {"object_type": "network", "object_id": network["id"], "target_tenant": "p2",
            "action": "access_as_shared"}  # fmt: skip
    lent = (await member("POST", "/rbac-policies", {"rbac_policy": body}))["rbac_policy"]
    assert await member.fails("POST", "/rbac-policies", {"rbac_policy": body}) == (
        409,
        "DuplicateRbacPolicy",
    )
    await stranger.port(network["id"])
    third = callers("member", "p3", "u3")
    assert (await third.fails("GET", f"/networks/{network['id']}"))[0] == 404
    assert await member.fails("DELETE", f"/rbac-policies/{lent['id']}") == (409, "RbacPolicyInUse")
    everybody = {"rbac_policy": body | {"target_tenant": "*"}}
    assert (await member.fails("POST", "/rbac-policies", everybody))[0] == 403
    change = {"rbac_policy": {"target_tenant": "*"}}
    assert (await member.fails("PUT", f"/rbac-policies/{lent['id']}", change))[0] == 403


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"object_type": "moon"}, 400),
        ({"action": "eat"}, 400),
        ({"object_id": NOBODY}, 404),
        ({"object_id": "x"}, 400),
        ({"target_tenant": ""}, 400),
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused(member, more, status):
    network = await member.network()
    body = {"object_type": "network", "object_id": network["id"], "target_tenant": "p2",
            "action": "access_as_shared"} | more  # fmt: skip
    assert (await member.fails("POST", "/rbac-policies", {"rbac_policy": body}))[0] == status


async def test_quotas(member, admin, callers):
    manager = callers("manager")
    shown = (await manager("GET", "/quotas/p1"))["quota"]
    assert shown["network"] == 100 and shown["subnetpool"] == -1
    assert (await member.fails("GET", "/quotas/p1"))[0] == 403
    body = {"quota": {"network": 1}}
    assert (await manager.fails("PUT", "/quotas/p1", body))[0] == 403
    assert (await admin("PUT", "/quotas/p1", body))["quota"]["network"] == 1
    await member.network()
    answer = await member.raw("POST", "/networks", {"network": {}})
    error = answer.json()["NeutronError"]
    assert (answer.status_code, error["type"]) == (409, "OverQuota")
    assert error["message"] == "Quota exceeded for resources: ['network']."
    details = (await admin("GET", "/quotas/p1/details.json"))["quota"]["network"]
    assert details == {"limit": 1, "used": 1, "reserved": 0}
    assert (await admin("GET", "/quotas"))["quotas"][0]["project_id"] == "p1"
    assert (await admin("GET", "/quotas/p1/default"))["quota"]["network"] == 100
    for wrong in ({"network": -2}, {"network": "x"}, {"moon": 1}):
        assert (await admin.fails("PUT", "/quotas/p1", {"quota": wrong}))[0] == 400
    await admin("DELETE", "/quotas/p1", status=204)
    await member.network()
    assert await admin.fails("DELETE", "/quotas/p1") == (404, "TenantQuotaNotFound")


async def test_the_rules_that_new_groups_start_with(admin, member):
    listed = (await member("GET", "/default-security-group-rules"))["default_security_group_rules"]
    assert len(listed) == 4
    body = {"default_security_group_rule": {"direction": "ingress", "protocol": "icmp",
                                            "used_in_non_default_sg": True}}  # fmt: skip
    path = "/default-security-group-rules"
    assert (await member.fails("POST", path, body))[0] == 403
    made = (await admin("POST", path, body))["default_security_group_rule"]
    wanted = (409, "DefaultSecurityGroupRuleExists")
    assert await admin.fails("POST", path, body) == wanted
    group = await group_of(member)
    assert "icmp" in {r["protocol"] for r in group["security_group_rules"]}
    await admin("DELETE", f"{path}/{made['id']}", status=204)


async def test_a_limit_below_what_is_used_is_refused_on_demand(member, admin):
    await member.network()
    await member.network()
    body = {"quota": {"network": 1, "check_limit": True}}
    assert await admin.fails("PUT", "/quotas/p1", body) == (409, "InvalidQuotaValue")
    await admin("PUT", "/quotas/p1", {"quota": {"network": 1}})
