# SPDX-License-Identifier: Apache-2.0
"""The whole API of Identity."""

from octostack.runtime.http import PUBLIC, Route, delete, get, post
from octostack.services.identity.api import discovery, tokens
from octostack.services.identity.schema import tokens as token_schema

ROUTES: tuple[Route, ...] = (
    get("", discovery.show_versions, rule=PUBLIC),
    get("/v3", discovery.show_version, rule=PUBLIC),
    post("/v3/auth/tokens", tokens.issue, rule=PUBLIC, body=token_schema.ISSUE, status=201),
    get("/v3/auth/tokens", tokens.show, rule="identity:validate_token", target="handler"),
    delete(
        "/v3/auth/tokens",
        tokens.revoke,
        rule="identity:revoke_token",
        target="handler",
        status=204,
    ),
    get("/v3/auth/catalog", tokens.show_catalog, rule="identity:get_auth_catalog"),
    get("/v3/auth/projects", tokens.list_projects, rule="identity:get_auth_projects"),
    get("/v3/auth/domains", tokens.list_domains, rule="identity:get_auth_domains"),
    get("/v3/auth/system", tokens.show_system, rule="identity:get_auth_system"),
)
