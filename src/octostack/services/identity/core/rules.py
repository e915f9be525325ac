# SPDX-License-Identifier: Apache-2.0
"""May this user log in, and may this become the password? (Keystone's [security_compliance].)"""

import re

import msgspec

from octostack.base.errors import Invalid, Unauthorized
from octostack.services.identity.model import Password, User

DAY_S = 86_400.0


class PasswordRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may ask of passwords; the defaults are Keystone's: nothing.

    `lockout_attempts` failures in a row lock a user for `lockout_s` seconds.
    """

    lockout_attempts: int | None = None
    lockout_s: float = 1800.0
    inactive_days_max: int | None = None
    expires_days: int | None = None
    unique_last_count: int = 0
    minimum_age_days: int = 0
    regex: str | None = None
    regex_description: str = ""
    change_upon_first_use: bool = False


def check_new(password: str, rules: PasswordRules) -> None:
    """May `password` be set at all? Raises Invalid."""
    if rules.regex and not re.search(rules.regex, password):
        raise Invalid(
            f"The password does not match the requirements: {rules.regex_description}.",
            code="password.weak",
            field="password",
        )


def check_age(current: Password | None, rules: PasswordRules, now: float) -> None:
    """May the owner change the password already? Raises Invalid."""
    if current is None or not rules.minimum_age_days or not current.self_service:
        return
    old_enough_at = current.created_at + rules.minimum_age_days * DAY_S
    if now < old_enough_at:
        days = -int(-(old_enough_at - now) // DAY_S)
        raise Invalid(
            f"Cannot change password before minimum age of {rules.minimum_age_days} days is met. "
            f"Please retry after {days} days.",
            code="password.age",
            field="password",
        )


def expiry(user: User, rules: PasswordRules, now: float) -> float | None:
    """When a password set now expires; None: never."""
    if rules.expires_days is None or user.options.get("ignore_password_expiry"):
        return None
    return now + rules.expires_days * DAY_S


def is_locked(user: User, rules: PasswordRules, now: float) -> bool:
    """True while too many failures keep `user` out."""
    if not rules.lockout_attempts or user.options.get("ignore_lockout_failure_attempts"):
        return False
    failed_at = user.failed_at or 0.0
    return user.failed_count >= rules.lockout_attempts and now < failed_at + rules.lockout_s


def check_password(user: User, password: Password, rules: PasswordRules, now: float) -> None:
    """After a right password: does it still count? Raises Unauthorized."""
    if password.expires_at is not None and password.expires_at <= now:
        raise Unauthorized(
            f"The password is expired and needs to be changed for user: {user.id}.",
            code="password.expired",
            tell=True,
        )
    first = rules.change_upon_first_use and not password.self_service
    if first and not user.options.get("ignore_change_password_upon_first_use"):
        raise Unauthorized(
            f"The password is expired and needs to be changed for user: {user.id}.",
            code="password.expired",
            tell=True,
        )


def is_enabled(user: User, rules: PasswordRules, now: float) -> bool:
    """Enabled, and not idle for so long that it counts as disabled."""
    if not user.enabled:
        return False
    if rules.inactive_days_max is None or user.options.get("ignore_user_inactivity"):
        return True
    last = user.last_active_at or user.created_at
    return now - last < (rules.inactive_days_max + 1) * DAY_S


def check_factors(user: User, methods: tuple[str, ...]) -> None:
    """Are `methods` enough for a user with several factors? Raises Unauthorized."""
    if not user.options.get("multi_factor_auth_enabled"):
        return
    rules = [rule for rule in user.options.get("multi_factor_auth_rules") or [] if rule]
    if not rules or "token" in methods:
        return
    if not any(set(rule) <= set(methods) for rule in rules):
        raise Unauthorized("Additional authentications steps required.", code="auth.factors")
