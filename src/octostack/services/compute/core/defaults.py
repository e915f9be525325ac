# SPDX-License-Identifier: Apache-2.0
"""The flavors that an empty cloud starts with; names and numbers every tutorial knows."""

from octostack.services.compute.model import Flavor

FLAVORS = tuple(
    Flavor(id=id_, name=name, memory_mb=memory, vcpus=vcpus, root_gb=root)
    for id_, name, memory, vcpus, root in (
        ("42", "m1.nano", 192, 1, 1),
        ("84", "m1.micro", 256, 1, 1),
        ("1", "m1.tiny", 512, 1, 1),
        ("2", "m1.small", 2048, 1, 20),
        ("3", "m1.medium", 4096, 2, 40),
        ("4", "m1.large", 8192, 4, 80),
        ("5", "m1.xlarge", 16384, 8, 160),
    )
)
