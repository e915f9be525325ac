# SPDX-License-Identifier: Apache-2.0
"""Which external network a first start chooses."""

from pathlib import Path

import pytest

from octostack.apps import external
from octostack.base.errors import Unavailable

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"


def route(destination: str, mask: str) -> str:
    return f"x0\t{destination}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n"


@pytest.mark.parametrize(
    ("routes", "chosen"),
    [
        (DEFAULT, "172.24.4"),
        (DEFAULT + route("000418AC", "00FFFFFF"), "172.24.5"),  # another cloud has 172.24.4.0/24
        (route("800418AC", "80FFFFFF"), "172.24.5"),  # a part of it is enough
        (route("000018AC", "00F8FFFF"), "172.24.8"),  # 172.24.0.0/21
        (route("0000000A", "000000FF"), "172.24.4"),  # 10.0.0.0/8 does not matter
    ],
)
def test_a_range_that_the_machine_does_not_route(routes: str, chosen: str) -> None:
    assert external.free(HEAD + routes) == chosen


def test_all_taken() -> None:
    with pytest.raises(Unavailable, match="network"):
        external.free(HEAD + route("000010AC", "0000F0FF"))


def test_network_of_a_cloud_that_is_down_is_nobody_elses(tmp_path: Path) -> None:
    claims, clouds = tmp_path / "claims", [tmp_path / name for name in "abc"]
    for cloud in clouds:
        cloud.mkdir()
    first, second = (external.claim(cloud, "", claims) for cloud in clouds[:2])
    assert first != second
    assert external.claim(clouds[0], first, claims) == first  # its next start
    external.release(clouds[0], claims)
    clouds[1].rmdir()  # went without a word
    assert external.claim(clouds[2], "", claims) == first
    assert external.claim(clouds[0], second, claims) == second
