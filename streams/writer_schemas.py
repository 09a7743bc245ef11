"""Writer schemas travel with the events.

Announced before a first send, looked up when an id is unknown.
"""

from typing import Protocol

from schemas.catalog import WriterSchema


class WriterSchemas(Protocol):
    """The compacted topic `wundr.schemas` as producers and consumers use it."""

    async def announce(self, schema: WriterSchema) -> None:
        """Return once every consumer can learn this schema.

        Raises BrokerUnavailable or DeliveryFailed.
        """
        ...

    async def resolve(self, schema_id: int) -> None:
        """Return once the codec knows this id; raises UnknownSchemaId after a bounded wait."""
        ...
