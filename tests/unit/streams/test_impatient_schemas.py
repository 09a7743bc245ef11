import pytest

from schemas.catalog import WriterSchema
from schemas.errors import UnknownSchemaId
from streams.impatient_schemas import ImpatientSchemas


class _Nobody:
    def __init__(self) -> None:
        self.asked: list[int] = []

    async def announce(self, schema: WriterSchema) -> None:
        raise AssertionError(schema)

    async def resolve(self, schema_id: int) -> None:
        self.asked.append(schema_id)
        raise UnknownSchemaId(schema_id)


async def test_an_unknown_id_is_looked_up_again_only_after_a_while() -> None:
    nobody = _Nobody()
    now = [0.0]
    schemas = ImpatientSchemas(nobody, memory_s=60, clock=lambda: now[0])
    for moment in (0.0, 1.0, 59.0, 60.0, 61.0):
        now[0] = moment
        with pytest.raises(UnknownSchemaId):
            await schemas.resolve(7)
    assert nobody.asked == [7, 7]
