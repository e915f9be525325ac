# SPDX-License-Identifier: Apache-2.0
"""What makes a function a method of an object class."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from octostack.engines.ceph.osd.ops.context import OpContext

Run: TypeAlias = Callable[[OpContext, bytes], bytes | None]


class Method(NamedTuple):
    """A method: whether it may write, and what it does with the object and the input."""

    writes: bool
    run: Run


METHODS: dict[tuple[str, str], Method] = {}


def method(class_name: str, name: str, *, writes: bool = False) -> Callable[[Run], Run]:
    """Register the function below as ``class_name.name``."""

    def register(run: Run) -> Run:
        METHODS[class_name, name] = Method(writes, run)
        return run

    return register
