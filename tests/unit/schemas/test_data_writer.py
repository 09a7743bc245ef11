"""The generated data writers against the checks and fastavro, over generated data and misfits."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import Catalog
from schemas.class_source import UnsupportedType
from schemas.data_writer import compile_typed_writer
from schemas.errors import InvalidEventData
from schemas.events import DATA_TYPES
from schemas.events.domain import AnalysisFileProcessed
from schemas.events.system import SystemRunStarted
from schemas.validation import compile_check
from tests.unit.schemas.avro_values import records, texts
from tests.unit.schemas.samples import file_processed
from tests.unit.schemas.test_data_reader import Handmade, class_of, source_of, written

CATALOG: Final = Catalog.load()
PROCESSED: Final = CATALOG.writer_schema("analysis.file.processed", "1.1.0").data_record()
STARTED: Final = CATALOG.writer_schema("system.run.started", "1.0.0").data_record()
ANYTHING: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 65), 1 << 65),
    st.floats(),
    st.binary(max_size=5),
    st.text(max_size=5),
    st.lists(st.none() | st.text(max_size=3) | st.integers(), max_size=3),
    st.lists(st.text(max_size=3), max_size=3).map(tuple),
)


def checked(record: Mapping[str, Any], payload: Mapping[str, Any]) -> bytes:
    """What the checks and fastavro write."""
    return written(record, compile_check(record)(payload))


@pytest.mark.parametrize("key", sorted(DATA_TYPES))
def test_every_class_of_the_catalog_has_a_writer(key: tuple[str, str]) -> None:
    record = CATALOG.writer_schema(*key).data_record()
    assert compile_typed_writer(record, DATA_TYPES[key]) is not None


@given(records())
def test_writes_what_the_checks_and_fastavro_write(
    one: tuple[dict[str, Any], Mapping[str, Any]],
) -> None:
    schema = source_of(one[0]).record
    try:
        data_type = class_of(one[0])
    except UnsupportedType:
        return
    write = compile_typed_writer(schema, data_type)
    found = write(data_type.from_wire(one[1])) if write else None
    assert found is None or found == checked(schema, one[1])


numbers = st.integers(-(1 << 31), (1 << 31) - 1) | st.integers(-9000, 9000)


@given(
    st.builds(
        AnalysisFileProcessed,
        analysis_id=texts,
        project_id=texts,
        path=texts,
        lines=numbers,
        functions=numbers,
        classes=numbers,
        error=st.none() | texts,
        imports=numbers,
        complexity=st.none() | numbers,
    )
)
def test_data_that_fit_are_written_without_the_checks(data: AnalysisFileProcessed) -> None:
    write = compile_typed_writer(PROCESSED, AnalysisFileProcessed)
    assert write is not None
    assert write(data) == checked(PROCESSED, data.to_wire())


@given(st.sampled_from(sorted(file_processed().to_wire())), ANYTHING)
def test_what_a_writer_takes_passes_the_checks_and_the_rest_is_left_to_them(
    field: str, value: Any
) -> None:
    wire = file_processed().to_wire() | {field: value}
    write = compile_typed_writer(PROCESSED, AnalysisFileProcessed)
    assert write is not None
    found = write(AnalysisFileProcessed.from_wire(wire))
    try:
        expected = checked(PROCESSED, wire)
    except InvalidEventData:
        assert found is None
    else:
        assert found in {None, expected}


@given(ANYTHING)
def test_lists_are_taken_only_when_all_their_items_fit(value: Any) -> None:
    write = compile_typed_writer(STARTED, SystemRunStarted)
    assert write is not None
    data = replace(SystemRunStarted(run_id="r", projects=(), files=1), projects=value)
    found = write(data)
    wire = {"runId": "r", "projects": value, "files": 1}
    try:
        expected = checked(STARTED, wire)
    except InvalidEventData:
        assert found is None
    else:
        assert found in {None, expected}


class Colour(StrEnum):
    RED = "red"


def test_a_text_of_another_class_is_left_to_the_checks() -> None:
    write = compile_typed_writer(PROCESSED, AnalysisFileProcessed)
    assert write is not None
    assert write(replace(file_processed(), path=Colour.RED)) is None


@pytest.mark.parametrize("size", [0, 1, 63, 64, 127, 8191, 8192, 100_000])
def test_texts_of_every_length_are_written(size: int) -> None:
    write = compile_typed_writer(PROCESSED, AnalysisFileProcessed)
    data = replace(file_processed(), path="x" * size)
    assert write is not None
    assert write(data) == checked(PROCESSED, data.to_wire())


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "map", "values": "int"},
        {"type": "long", "logicalType": "timestamp-millis"},
        {"type": "array", "items": ["null", "int"]},
        "float",
    ],
)
def test_a_class_with_other_fields_has_no_writer(kind: Any) -> None:
    record = {
        "type": "record",
        "name": "R",
        "doc": "A record.",
        "fields": [{"name": "x", "type": kind, "doc": "A field."}],
    }
    assert compile_typed_writer(source_of(record).record, class_of(record)) is None


def test_a_class_that_was_not_generated_has_no_writer() -> None:
    assert compile_typed_writer(PROCESSED, Handmade) is None
