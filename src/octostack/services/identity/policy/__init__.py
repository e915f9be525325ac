# SPDX-License-Identifier: Apache-2.0
"""Keystone's rules: its names and its secure-RBAC defaults (keystone/common/policies, 2026.1)."""

from octostack.services.identity.policy import base, grants, people, projects, system

RULES = (*base.RULES, *people.RULES, *projects.RULES, *grants.RULES, *system.RULES)
