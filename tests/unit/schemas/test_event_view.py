"""What a viewed event says, against the envelope reader and fastavro."""

import contextlib
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.envelope import Envelope
from schemas.errors import TruncatedEvent
from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from schemas.framing import HEADER_SIZE, schema_id_of
from schemas.prefix_reader import compile_prefix_reader
from tests.unit.schemas.avro_values import texts
from tests.unit.schemas.samples import file_processed
from tests.unit.schemas.test_prefix_reader import envelopes

CATALOG: Final = Catalog.load()
CODEC: Final = Codec(CATALOG)
TYPE, VERSION = "analysis.file.processed", "1.1.0"
READ_ENVELOPE: Final = compile_prefix_reader(CATALOG.writer_schema(TYPE, VERSION).record())

processed = st.builds(
    AnalysisFileProcessed,
    analysis_id=texts,
    project_id=texts,
    path=texts,
    lines=st.integers(-(1 << 31), (1 << 31) - 1),
    functions=st.integers(0, 300),
    classes=st.just(0),
    error=st.none() | texts,
    imports=st.integers(0, 9000),
    complexity=st.none() | st.integers(0, 300),
)
events = st.builds(
    lambda envelope, data: Event(envelope._replace(type=TYPE, version=VERSION), data),
    envelopes,
    processed,
)


def said_by(event: Event[Any]) -> Envelope:
    """The envelope, one property after the other."""
    return Envelope(
        id=event.id,
        type=event.type,
        category=event.category,
        priority=event.priority,
        version=event.version,
        timestamp_ms=event.timestamp_ms,
        source=event.source,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        aggregate=event.aggregate,
        metadata=event.metadata,
    )


@given(events)
def test_a_viewed_event_says_what_was_encoded(event: Event[AnalysisFileProcessed]) -> None:
    value = CODEC.encode(event)
    viewed = CODEC.view(value)
    assert said_by(viewed) == viewed.envelope == event.envelope
    assert said_by(event) == event.envelope
    assert viewed.data == event.data
    assert viewed.payload == event.payload == event.data.to_wire()
    assert viewed == event
    assert viewed.framed == value


@given(events, st.data())
def test_damage_is_told_or_read_as_the_envelope_reader_reads_it(
    event: Event[AnalysisFileProcessed], draw: st.DataObject
) -> None:
    damaged = bytearray(CODEC.encode(event))
    place = draw.draw(st.integers(HEADER_SIZE, len(damaged) - 1))
    damaged[place] ^= 1 << draw.draw(st.integers(0, 7))
    value = bytes(damaged)
    try:
        viewed = CODEC.view(value)
    except TruncatedEvent:
        return
    assert viewed.envelope == READ_ENVELOPE(value, HEADER_SIZE)[0]
    with contextlib.suppress(TruncatedEvent):
        assert viewed.data == AnalysisFileProcessed.from_wire(viewed.payload)


@given(events, st.data())
def test_an_event_that_ends_early_is_told_when_its_data_are_touched(
    event: Event[AnalysisFileProcessed], draw: st.DataObject
) -> None:
    value = CODEC.encode(event)
    cut = value[: draw.draw(st.integers(HEADER_SIZE, len(value) - 1))]
    assert schema_id_of(cut) == schema_id_of(value)
    with pytest.raises(TruncatedEvent):
        CODEC.view(cut).data  # noqa: B018  # the touch is the point
    with pytest.raises(TruncatedEvent):
        CODEC.view(cut).payload  # noqa: B018  # the touch is the point


def test_data_are_read_once() -> None:
    event = Event(CODEC.view(CODEC.encode(_sample())).envelope, file_processed())
    viewed = CODEC.view(CODEC.encode(event))
    assert viewed.data is viewed.data
    assert viewed.payload is viewed.payload


def _sample() -> Event[AnalysisFileProcessed]:
    envelope = Envelope(
        id="e",
        type=TYPE,
        category=CATALOG.get(TYPE).category,
        priority=CATALOG.get(TYPE).priority,
        version=VERSION,
        timestamp_ms=0,
        source="tests",
    )
    return Event(envelope, file_processed())
