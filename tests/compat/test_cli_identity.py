# SPDX-License-Identifier: Apache-2.0
"""The unmodified `openstack` command on Identity."""

import pytest

pytestmark = pytest.mark.compat


def _ids(rows):
    return {row["ID"] for row in rows}


def test_login_gives_a_token_and_the_catalogue(openstack):
    token = openstack("token issue")
    assert len(token["id"]) < 400 and token["expires"].endswith(("Z", "+0000"))
    types = {row["Type"] for row in openstack("catalog list")}
    assert {"identity", "image", "compute", "placement", "network"} <= types
    assert openstack("catalog show compute")["endpoints"]


def test_token_can_be_revoked(openstack):
    token = openstack("token issue")["id"]
    url = openstack("catalog show identity")["endpoints"][0]["url"]
    use = f"--os-auth-type token --os-token {token} --os-auth-url {url}/v3 --os-project-name admin"
    use += " --os-project-domain-id default token issue"
    openstack.text(use, cloud="")
    openstack.text(f"token revoke {token}")
    assert "Could not find token. (HTTP 404)" in openstack.fails(use, cloud="")


def test_wrong_password_is_refused(openstack):
    said = openstack.fails("--os-password nonsense token issue")
    assert "401" in said and "authentication" in said


def test_domains(openstack):
    domain = openstack("domain create --description 'first words' roses")
    assert domain["enabled"] is True
    openstack.text("domain set --description other roses")
    assert openstack("domain show roses")["description"] == "other"
    assert "403" in openstack.fails("domain delete roses")  # only a disabled one may go
    openstack.text("domain set --disable roses")
    openstack.text("domain delete roses")
    assert domain["id"] not in _ids(openstack("domain list"))


def test_projects_with_tags_and_children(openstack):
    parent = openstack("project create --description d --tag red --tag big garden")
    child = openstack("project create --parent garden bed")
    assert child["parent_id"] == parent["id"]
    assert sorted(parent["tags"]) == ["big", "red"]
    assert _ids(openstack("project list --tags red")) == {parent["id"]}
    openstack.text("project set --tag small garden")
    assert sorted(openstack("project show garden")["tags"]) == ["big", "red", "small"]
    assert openstack("project show --parents bed")["parents"]
    assert "403" in openstack.fails("project delete garden")  # it has a child
    openstack.text("project delete bed")
    openstack.text("project delete garden")


def test_users_log_in_and_change_their_password(openstack):
    user = openstack("user create --password first-1 --project demo --email a@b.example ann")
    assert user["email"] == "a@b.example"
    openstack.text("role add --project demo --user ann member")
    login = "--os-username ann --os-project-name demo --os-user-domain-id default"
    assert (
        openstack(f"{login} --os-password first-1 token issue", cloud="demo")["user_id"]
        == user["id"]
    )
    openstack.text(
        f"{login} --os-password first-1 user password set"
        " --original-password first-1 --password second-2",
        cloud="demo",
    )
    assert "401" in openstack.fails(f"{login} --os-password first-1 token issue", cloud="demo")
    openstack.text(f"{login} --os-password second-2 token issue", cloud="demo")
    openstack.text("user set --disable ann")
    assert "401" in openstack.fails(f"{login} --os-password second-2 token issue", cloud="demo")
    openstack.text("user delete ann")


def test_groups(openstack):
    openstack.text("group create --description d gardeners")
    openstack.text("user create --password x-1-y ben")
    openstack.text("group add user gardeners ben")
    assert "in group" in openstack.text("group contains user gardeners ben")
    assert [row["Name"] for row in openstack("user list --group gardeners")] == ["ben"]
    openstack.text("role add --group gardeners --project demo reader")
    rows = openstack("role assignment list --user ben --effective --names")
    assert [(row["Role"], row["Project"]) for row in rows] == [("reader", "demo@Default")]
    openstack.text("group remove user gardeners ben")
    assert openstack("role assignment list --user ben --effective") == []
    openstack.text("user delete ben")
    openstack.text("group delete gardeners")


def test_roles_and_what_they_imply(openstack):
    openstack.text("role create --description d planter")
    openstack.text("implied role create planter --implied-role reader")
    rows = openstack("implied role list")
    assert ("planter", "reader") in {
        (row["Prior Role Name"], row["Implied Role Name"]) for row in rows
    }
    openstack.text("user create --password x-1-y cat")
    openstack.text("role add --user cat --project demo planter")
    rows = openstack("role assignment list --user cat --effective --names")
    assert {row["Role"] for row in rows} == {"planter", "reader"}
    openstack.text("role add --user cat --domain default --inherited planter")
    rows = openstack("role assignment list --user cat --names")
    assert [row["Inherited"] for row in rows if row["Domain"]] == [True]
    openstack.text("implied role delete planter --implied-role reader")
    openstack.text("role remove --user cat --project demo planter")
    openstack.text("user delete cat")
    openstack.text("role delete planter")


def test_system_roles(openstack):
    openstack.text("user create --password x-1-y dan")
    openstack.text("role add --user dan --system all reader")
    rows = openstack("role assignment list --user dan --system all --names")
    assert [row["System"] for row in rows] == ["all"]
    openstack.text("role remove --user dan --system all reader")
    openstack.text("user delete dan")


def test_services_endpoints_and_regions(openstack):
    openstack.text("region create --description d North")
    openstack.text("region create --parent-region North Village")
    assert openstack("region show Village")["parent_region"] == "North"
    service = openstack("service create --name seeds --description d seed-store")
    endpoint = openstack("endpoint create --region North seeds public http://seeds.example/")
    assert endpoint["service_id"] == service["id"]
    assert _ids(openstack("endpoint list --service seeds")) == {endpoint["id"]}
    openstack.text(f"endpoint set --url http://other.example/ --disable {endpoint['id']}")
    assert openstack(f"endpoint show {endpoint['id']}")["enabled"] is False
    openstack.text(f"endpoint delete {endpoint['id']}")
    openstack.text("service delete seeds")
    openstack.text("region delete Village")
    openstack.text("region delete North")


def test_credentials(openstack):
    credential = openstack("credential create --type other admin '{\"a\": 1}'")
    assert openstack(f"credential show {credential['id']}")["type"] == "other"
    openstack.text(f"credential set --user admin --type totp --data AAAA {credential['id']}")
    assert credential["id"] in _ids(openstack("credential list --type totp"))
    openstack.text(f"credential delete {credential['id']}")


def test_application_credentials(demo):
    made = demo(
        "application credential create --secret s3same --role reader"
        ' --access-rules \'[{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]\''
        " limited"
    )
    url = demo("catalog show identity")["endpoints"][0]["url"]
    login = (
        f"--os-auth-type v3applicationcredential --os-auth-url {url}/v3"
        f" --os-application-credential-id {made['ID']} --os-application-credential-secret s3same"
    )
    assert demo.text(f"{login} token issue -f value -c project_id", cloud="")
    assert "401" in demo.fails(f"{login[:-1]} token issue", cloud="")
    assert len(demo("access rule list")) == 1
    demo.text("application credential delete limited")
    rule = demo("access rule list")[0]["ID"]
    demo.text(f"access rule delete {rule}")


def test_a_member_may_not_administer(openstack, demo):
    assert "403" in demo.fails("user create --password x eve")
    assert "403" in demo.fails("project create evil")
    # The command reports no failure of a role add; what counts is that nothing came of it.
    demo.text("role add --user demo --project demo admin")
    roles = openstack("role assignment list --user demo --project demo --names")
    assert {row["Role"].split("@")[0] for row in roles} == {"member"}
