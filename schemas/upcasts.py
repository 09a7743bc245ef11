"""The upcasts: one function for each major version that a newer one follows."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

Upcast = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Gives the wire mapping of the next major; leaves the given one as it is."""

UpcastKey = tuple[str, int]
"""An event type, and the major version that is read."""

NO_UPCASTS: Final[Mapping[UpcastKey, Upcast]] = MappingProxyType({})

UPCASTS: Final[Mapping[UpcastKey, Upcast]] = MappingProxyType({})
"""The upcasts of the packaged event types, none of which has a second major yet."""
