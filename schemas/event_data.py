"""The parent of all typed data: what the generated classes promise."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self


class EventData(ABC):
    """Data of an event as a frozen dataclass, snake case here, camel case on the wire."""

    __slots__ = ()

    event_type: ClassVar[str]
    schema_version: ClassVar[str]

    @classmethod
    @abstractmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        """From the wire mapping; absent fields take their defaults.

        Raises KeyError for one without.
        """

    @abstractmethod
    def to_wire(self) -> dict[str, Any]:
        """The wire mapping with every field."""
