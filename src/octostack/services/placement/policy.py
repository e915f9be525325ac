# SPDX-License-Identifier: Apache-2.0
"""Who may do what. Names and defaults are Placement's own."""

from octostack.runtime.policy import Rule

_SERVICE_OR_ADMIN = "rule:admin_or_service_api"


def _rules(prefix: str, path: str, operations: dict[str, tuple[str, str]]) -> tuple[Rule, ...]:
    return tuple(
        Rule(f"placement:{prefix}{name}", _SERVICE_OR_ADMIN, text, ((method, path),))
        for name, (method, text) in operations.items()
    )


RULES = (
    Rule("admin_api", "role:admin", "Operators."),
    Rule("admin_or_service_api", "role:admin or role:service", "Operators and other services."),
    Rule(
        "project_reader_api",
        "role:reader and project_id:%(project_id)s",
        "Readers of the project that is asked about.",
    ),
    Rule(
        "admin_or_project_reader_or_service_api",
        "role:admin or rule:project_reader_api or role:service",
        "Operators, other services, and readers of the project.",
    ),
    *_rules(
        "resource_providers:",
        "/resource_providers",
        {"list": ("GET", "List providers."), "create": ("POST", "Create a provider.")},
    ),
    *_rules(
        "resource_providers:",
        "/resource_providers/{uuid}",
        {
            "show": ("GET", "Show a provider."),
            "update": ("PUT", "Rename or move a provider."),
            "delete": ("DELETE", "Delete a provider."),
        },
    ),
    *_rules(
        "resource_classes:",
        "/resource_classes",
        {
            "list": ("GET", "List resource classes."),
            "create": ("POST", "Create a custom resource class."),
            "show": ("GET", "Show a resource class."),
            "update": ("PUT", "Rename or ensure a custom resource class."),
            "delete": ("DELETE", "Delete a custom resource class."),
        },
    ),
    *_rules(
        "resource_providers:inventories:",
        "/resource_providers/{uuid}/inventories",
        {
            "list": ("GET", "List what a provider has."),
            "create": ("POST", "Add an inventory."),
            "show": ("GET", "Show one inventory."),
            "update": ("PUT", "Replace inventories."),
            "delete": ("DELETE", "Delete inventories."),
        },
    ),
    *_rules(
        "resource_providers:aggregates:",
        "/resource_providers/{uuid}/aggregates",
        {"list": ("GET", "List a provider's aggregates."), "update": ("PUT", "Replace them.")},
    ),
    *_rules(
        "traits:",
        "/traits",
        {
            "list": ("GET", "List traits."),
            "show": ("GET", "Ask whether a trait exists."),
            "update": ("PUT", "Ensure a custom trait."),
            "delete": ("DELETE", "Delete a custom trait."),
        },
    ),
    *_rules(
        "resource_providers:traits:",
        "/resource_providers/{uuid}/traits",
        {
            "list": ("GET", "List a provider's traits."),
            "update": ("PUT", "Replace a provider's traits."),
            "delete": ("DELETE", "Take all traits from a provider."),
        },
    ),
    *_rules(
        "allocations:",
        "/allocations",
        {
            "manage": ("POST", "Change the allocations of several consumers at once."),
            "list": ("GET", "Show a consumer's allocations."),
            "update": ("PUT", "Change a consumer's allocations."),
            "delete": ("DELETE", "Give back a consumer's allocations."),
        },
    ),
    *_rules(
        "resource_providers:allocations:",
        "/resource_providers/{uuid}/allocations",
        {"list": ("GET", "List who holds something from a provider.")},
    ),
    *_rules(
        "resource_providers:",
        "/resource_providers/{uuid}/usages",
        {"usages": ("GET", "How much of a provider is used.")},
    ),
    Rule(
        "placement:usages",
        "rule:admin_or_project_reader_or_service_api",
        "What a project uses in all.",
        (("GET", "/usages"),),
    ),
    *_rules(
        "allocation_candidates:",
        "/allocation_candidates",
        {"list": ("GET", "Ask where a request fits.")},
    ),
    Rule(
        "placement:reshaper:reshape",
        "role:service",
        "Move inventories and allocations between providers in one go.",
        (("POST", "/reshaper"),),
    ),
)
