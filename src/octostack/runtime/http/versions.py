# SPDX-License-Identifier: Apache-2.0
"""Microversions: ``OpenStack-API-Version: compute 2.96`` and what is answered to it.

The rules are the API special interest group's: no header means the minimum, ``latest`` the
maximum; a version out of range is 406, a malformed one 400.
"""

from collections.abc import Mapping

import msgspec

from octostack.base.errors import Invalid, NotAcceptable

Version = tuple[int, int]
HEADER = "openstack-api-version"


def parse(text: str) -> Version:
    """``"2.10"`` as ``(2, 10)``. Raises ValueError."""
    major, _, minor = text.partition(".")
    if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        raise ValueError(text)
    if minor != str(int(minor)) or len(minor) > 4:
        raise ValueError(text)
    return int(major), int(minor)


def show(version: Version) -> str:
    """``(2, 10)`` as ``"2.10"``."""
    return f"{version[0]}.{version[1]}"


class Microversions(msgspec.Struct, frozen=True):
    """The range one service speaks, and the older header it also takes."""

    service_type: str
    minimum: Version
    maximum: Version
    legacy_header: str | None = None

    def negotiate(self, headers: Mapping[str, str]) -> Version:
        """The version the client asks for. Raises Invalid or NotAcceptable."""
        text = self._asked(headers)
        if text is None:
            return self.minimum
        if text == "latest":
            return self.maximum
        try:
            version = parse(text)
        except ValueError:
            raise Invalid(
                f"API Version String {text} is of invalid format. Must be of format "
                "MajorNum.MinorNum.",
                code="version.format",
                asked=text,
            ) from None
        if not self.minimum <= version <= self.maximum:
            raise NotAcceptable(
                f"Version {text} is not supported by the API. Minimum is {show(self.minimum)} "
                f"and maximum is {show(self.maximum)}.",
                code="version.range",
                asked=text,
                min_version=show(self.minimum),
                max_version=show(self.maximum),
            )
        return version

    def headers(self, version: Version) -> dict[str, str]:
        """What every answer of the service says of the version it was made for."""
        values = {
            "OpenStack-API-Version": f"{self.service_type} {show(version)}",
            "Vary": HEADER,
        }
        if self.legacy_header:
            values[self.legacy_header] = show(version)
            values["Vary"] = f"OpenStack-API-Version, {self.legacy_header}"  # as Nova writes it
        return values

    def _asked(self, headers: Mapping[str, str]) -> str | None:
        for part in headers.get(HEADER, "").split(","):
            service, _, version = part.strip().partition(" ")
            if service == self.service_type and version.strip():
                return version.strip()
        if self.legacy_header and self.legacy_header.lower() in headers:
            return headers[self.legacy_header.lower()].strip()
        return None


class Fixed(Microversions, frozen=True):
    """An API from before there were microversions: always the minimum, whatever is asked."""

    def negotiate(self, headers: Mapping[str, str]) -> Version:
        """The one version."""
        return self.minimum

    def headers(self, version: Version) -> dict[str, str]:
        """Nothing is said of versions."""
        return {}
