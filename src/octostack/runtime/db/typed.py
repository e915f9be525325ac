# SPDX-License-Identifier: Apache-2.0
"""A column of JSON that holds values of one type, read in one pass."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect


class Typed(sa.types.TypeDecorator[Any]):
    """``Column("nics", Typed(tuple[Nic, ...]))``: structs go in and come out; None is NULL."""

    impl = sa.JSON
    cache_ok = True

    def __init__(self, of: Any) -> None:
        super().__init__(none_as_null=True)
        self.of = of
        self.decode = msgspec.json.Decoder(of | None).decode  # older rows hold JSON's null too

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """What the driver has made of the text, as the type."""
        return None if value is None else msgspec.convert(value, self.of)
