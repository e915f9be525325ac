# SPDX-License-Identifier: Apache-2.0
"""Which addresses web-download may fetch from."""

import pytest

from octostack.base.errors import Invalid
from octostack.services.image.core.uris import Rules, host_of


@pytest.mark.parametrize(
    ("rules", "uri", "passes"),
    [
        (Rules(), "http://a/x", True),
        (Rules(), "https://a:443/x", True),
        (Rules(), "http://a:8080/x", False),
        (Rules(), "ftp://a/x", False),
        (Rules(), "file:///etc/passwd", False),
        (Rules(), "http://user@a/x", False),
        (Rules(), "http://a\n/x", False),
        (Rules(), "http:///x", False),
        (Rules(), "http://[::1/x", False),
        (Rules(), 7, False),
        (Rules(ports=()), "http://a:8080/x", True),
        (Rules(ports=(), disallowed_ports=(22,)), "http://a:22/x", False),
        (Rules(ports=(), disallowed_ports=(80,)), "http://a:80/x", False),
        (Rules(schemes=(), disallowed_schemes=("http",)), "http://a/x", False),
        (Rules(schemes=(), disallowed_schemes=("http",)), "https://a/x", True),
        (Rules(schemes=()), "file:///etc/passwd", False),
        (Rules(hosts=("a",)), "http://A/x", True),
        (Rules(hosts=("a",)), "http://b/x", False),
        (Rules(disallowed_hosts=("a",)), "http://a./x", False),
        (Rules(disallowed_hosts=("a",)), "http://b/x", True),
    ],
)
def test_filtering(rules: Rules, uri: object, passes: bool) -> None:
    if passes:
        assert host_of(uri, rules)
    else:
        with pytest.raises(Invalid):
            host_of(uri, rules)
