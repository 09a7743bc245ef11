"""Remembers schema ids that nobody knows, so that many such records do not each wait."""

import time
from collections.abc import Callable

from schemas.catalog import WriterSchema
from schemas.errors import UnknownSchemaId
from streams.writer_schemas import WriterSchemas


class ImpatientSchemas:
    """Implements WriterSchemas around another; asks anew about an unknown id after `memory_s`."""

    def __init__(
        self,
        schemas: WriterSchemas,
        *,
        memory_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._schemas = schemas
        self._memory_s = memory_s
        self._clock = clock
        self._ask_again_at: dict[int, float] = {}

    async def announce(self, schema: WriterSchema) -> None:
        """See WriterSchemas."""
        await self._schemas.announce(schema)

    async def resolve(self, schema_id: int) -> None:
        """See WriterSchemas; raises UnknownSchemaId at once for an id that was unknown lately."""
        now = self._clock()
        if now < self._ask_again_at.get(schema_id, now):
            raise UnknownSchemaId(schema_id)
        # Ids come from the wire: without this the memory of a long-lived process would only grow.
        self._ask_again_at = {at: due for at, due in self._ask_again_at.items() if due > now}
        try:
            await self._schemas.resolve(schema_id)
        except UnknownSchemaId:
            self._ask_again_at[schema_id] = self._clock() + self._memory_s
            raise
