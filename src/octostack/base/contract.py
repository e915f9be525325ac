# SPDX-License-Identifier: Apache-2.0
"""What makes a class a contract between parts.

A contract is an abstract class whose public async methods take and return types that msgspec can
carry. It holds no behaviour. Two sides may run different minor versions in any order:

* a method that came later says so, ``@since(1, 1)``; a stub refuses it on an older peer;
* a field or parameter that came later has a default; one that is unknown is ignored;
* what is gone, renamed or means another thing needs a new major version.

``tests/contract/test_fingerprints.py`` refuses a changed shape under an unchanged version.
"""

from abc import ABC
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

Version = tuple[int, int]


class Contract(ABC):  # noqa: B024 - its subclasses have the abstract methods
    """The base of every contract; `VERSION` is (major, minor)."""

    VERSION: ClassVar[Version] = (1, 0)


def since(major: int, minor: int) -> Callable[[F], F]:
    """Mark a method as one that older peers of the same major version do not have."""

    def mark(method: F) -> F:
        method.__since__ = (major, minor)  # type: ignore[attr-defined]
        return method

    return mark
