# SPDX-License-Identifier: Apache-2.0
"""The whole API of Compute."""

from octostack.runtime.http import ANY, PUBLIC, Microversions, Route, delete, get, post, put
from octostack.services.compute.api import (
    create,
    discovery,
    flavors,
    keypairs,
    server_lists,
    servers,
)
from octostack.services.compute.api.faults import faults
from octostack.services.compute.schema import flavors as flavor_schema
from octostack.services.compute.schema import keypairs as keypair_schema
from octostack.services.compute.schema import servers as server_schema
from octostack.services.compute.schema import versions

__all__ = ["MICROVERSIONS", "ROUTES", "VERSION_ROUTES", "faults"]

MICROVERSIONS = Microversions(
    "compute", versions.MINIMUM, versions.MAXIMUM, "X-OpenStack-Nova-API-Version"
)
_P = "os_compute_api:"

VERSION_ROUTES: tuple[Route, ...] = (get("", discovery.list_versions, rule=PUBLIC),)

_DISCOVERY = (
    get("", discovery.show_version, rule=PUBLIC),
    get("/extensions", discovery.list_extensions, rule=_P + "extensions"),
    get("/extensions/{alias}", discovery.show_extension, rule=_P + "extensions"),
)

_FLAVOR = "/flavors/{flavor_id}"
_SPECS, _SPEC = _FLAVOR + "/os-extra_specs", _FLAVOR + "/os-extra_specs/{key}"
_FLAVORS = (
    get("/flavors", flavors.index, rule=ANY),
    post("/flavors", flavors.create, rule=_P + "os-flavor-manage:create",
         body=flavor_schema.CREATE),
    get("/flavors/detail", flavors.list_detail, rule=ANY),
    get(_FLAVOR, flavors.show, rule=ANY),
    put(_FLAVOR, flavors.update, rule=_P + "os-flavor-manage:update", since="2.55",
        body=flavor_schema.UPDATE),
    delete(_FLAVOR, flavors.delete, rule=_P + "os-flavor-manage:delete", status=202),
    post(_FLAVOR + "/action", flavors.act, rule=ANY),
    get(_FLAVOR + "/os-flavor-access", flavors.list_access, rule=_P + "os-flavor-access"),
    get(_SPECS, flavors.list_specs, rule=_P + "os-flavor-extra-specs:index"),
    post(_SPECS, flavors.create_specs, rule=_P + "os-flavor-extra-specs:create",
         body=flavor_schema.EXTRA_SPECS),
    get(_SPEC, flavors.show_spec, rule=_P + "os-flavor-extra-specs:show"),
    put(_SPEC, flavors.update_spec, rule=_P + "os-flavor-extra-specs:update",
        body=flavor_schema.EXTRA_SPEC),
    delete(_SPEC, flavors.delete_spec, rule=_P + "os-flavor-extra-specs:delete"),
)  # fmt: skip

_KEYPAIRS = (
    get("/os-keypairs", keypairs.index, rule=_P + "os-keypairs:index", target="handler"),
    post("/os-keypairs", keypairs.create, rule=_P + "os-keypairs:create", target="handler",
         body=keypair_schema.CREATE),
    get("/os-keypairs/{name}", keypairs.show, rule=_P + "os-keypairs:show", target="handler"),
    delete("/os-keypairs/{name}", keypairs.delete, rule=_P + "os-keypairs:delete",
           target="handler"),
)  # fmt: skip

_SERVER = "/servers/{server_id}"
_SERVERS = (
    post("/servers", create.create, rule=_P + "servers:create", status=202,
         body=server_schema.CREATE),
    get("/servers", server_lists.index, rule=_P + "servers:index"),
    get("/servers/detail", server_lists.list_detail, rule=_P + "servers:detail"),
    get(_SERVER, servers.show, rule=_P + "servers:show", target="handler"),
    put(_SERVER, servers.update, rule=_P + "servers:update", target="handler",
        body=server_schema.UPDATE),
    delete(_SERVER, servers.delete, rule=_P + "servers:delete", target="handler", status=204),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (*_DISCOVERY, *_FLAVORS, *_KEYPAIRS, *_SERVERS)
