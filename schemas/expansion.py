"""Refuses data records of which few bytes could ask for much work.

A list of items that take no bytes may have 2^62 of them in ten bytes; records in records that
double at each level are as many in none. No event is like that: only a schema that was made for it.
"""

from collections.abc import Mapping
from typing import Any, Final

from schemas.errors import InvalidWriterSchema

MOST_VALUES: Final = 10_000
"""Values in a data record, those of nested records included, an array or map counted once."""


def refuse_expansion(parsed: Mapping[str, Any]) -> None:
    """Raise InvalidWriterSchema when a data record, as `parse_schema` gives it, is like that.

    It must not hold itself.
    """
    _Sizes(parsed["__named_schemas"]).of(parsed)


class _Sizes:
    """The number of values in a type, and the fewest bytes that they take."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, kind: Any) -> tuple[int, int]:
        """Values and bytes."""
        if isinstance(kind, list):
            return 1 + max((self.of(branch)[0] for branch in kind), default=0), 1
        kind = self._named.get(kind, kind) if isinstance(kind, str) else kind
        if not isinstance(kind, dict):
            return 1, int(kind != "null")
        full_name = kind.get("name")
        if full_name is None:
            return self._unnamed(kind)
        if full_name not in self._known:
            self._known[full_name] = self._unnamed(kind)
        return self._known[full_name]

    def _unnamed(self, kind: Mapping[str, Any]) -> tuple[int, int]:
        match kind["type"]:
            case "record":
                return self._record(kind)
            case "array":
                values, least = self.of(kind["items"])
                if least == 0:
                    raise InvalidWriterSchema("the items of an array take no bytes")
                return 1 + values, 1
            case "map":
                return 1 + self.of(kind["values"])[0], 1
            case "fixed":
                return 1, int(kind["size"])
            case "enum":
                return 1, 1
            case inner:
                return self.of(inner)

    def _record(self, record: Mapping[str, Any]) -> tuple[int, int]:
        sizes = [self.of(field["type"]) for field in record["fields"]]
        values = 1 + sum(values for values, _ in sizes)
        if values > MOST_VALUES:
            raise InvalidWriterSchema(f"the data have more than {MOST_VALUES} values")
        return values, sum(least for _, least in sizes)
