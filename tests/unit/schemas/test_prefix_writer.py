"""The envelope writers against fastavro, over envelopes that people would not think of."""

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Envelope
from schemas.errors import InvalidEventData
from schemas.prefix_writer import _judged, write_envelope
from schemas.varint import write_long, write_time
from tests.unit.schemas.test_prefix_reader import AVRO, DATA_BYTES, PLAIN, encoded, envelopes, wire

Write = Callable[[Envelope], bytes]
EDGES: Final = [0, 1, 63, 64, 8191, 8192, 1 << 13, 1 << 14, 1 << 20, 1 << 31, (1 << 63) - 1]

each_form = pytest.mark.parametrize("write", [_judged, write_envelope], ids=["in Python", "in use"])


@each_form
@given(envelopes)
def test_writes_what_fastavro_writes(write: Write, envelope: Envelope) -> None:
    assert write(envelope) == encoded(AVRO, wire(envelope))[:-DATA_BYTES]


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 1 << 42), max_size=5))
def test_a_time_is_a_long_like_any_other(times: list[int]) -> None:
    assert [write_time(time) for time in times] == [write_long(time) for time in times]


@each_form
@pytest.mark.parametrize("value", [*EDGES, *(-edge for edge in EDGES), -(1 << 63)])
def test_numbers_at_the_edges_are_written_as_fastavro_writes_them(write: Write, value: int) -> None:
    envelope = PLAIN._replace(timestamp_ms=value)
    assert write(envelope) == encoded(AVRO, wire(envelope))[:-DATA_BYTES]


@each_form
@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1, 1.0, True, None])
def test_a_time_that_is_no_long_is_refused(write: Write, value: int) -> None:
    with pytest.raises(InvalidEventData) as refused:
        write(PLAIN._replace(timestamp_ms=value))
    assert refused.value.path == "timestamp"
