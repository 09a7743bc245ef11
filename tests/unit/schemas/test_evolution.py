"""Two releases side by side: each reads what the other writes, without having been told before."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from schemas.catalog import PACKAGED, Catalog
from schemas.codec import Codec
from schemas.errors import UnknownSchemaId
from schemas.events.domain import AnalysisFileProcessed, AnalysisFileProcessedV1_0
from schemas.framing import frame, schema_id_of
from schemas.source import normalised
from tests.unit.schemas.samples import (
    factory,
    file_processed,
    file_processed_by_an_old_producer,
    from_mapping,
)


@pytest.fixture(name="old_release")
def _old_release(tmp_path: Path) -> Catalog:
    """The catalog before analysis.file.processed 1.1.0 was added."""
    shutil.copytree(PACKAGED, tmp_path / "avro")
    (tmp_path / "avro/domain/analysis.file.processed/1.1.0.avsc").unlink()
    lock = json.loads((PACKAGED.parent / "lock.json").read_text())
    lock["schemas"] = [
        entry
        for entry in lock["schemas"]
        if (entry["type"], entry["version"]) != ("analysis.file.processed", "1.1.0")
    ]
    (tmp_path / "lock.json").write_text(json.dumps(lock))
    return Catalog.load(tmp_path / "avro")


@pytest.fixture(name="new_release")
def _new_release() -> Catalog:
    return Catalog.load()


def test_an_old_reader_reads_a_new_writer_once_it_has_learnt_the_schema(
    old_release: Catalog, new_release: Catalog
) -> None:
    event = factory(new_release).create(file_processed(), aggregate_id="x")
    value = Codec(new_release).encode(event)
    reader = Codec(old_release)
    with pytest.raises(UnknownSchemaId) as unknown:
        reader.view(value)
    announced = new_release.schema_ids()[unknown.value.schema_id]
    assert reader.learn(announced.composed_json).id == unknown.value.schema_id
    viewed = reader.view(value)
    assert viewed.version == "1.1.0"
    assert viewed.data == AnalysisFileProcessedV1_0(
        analysis_id="a1",
        project_id="p1",
        path="schemas/event.py",
        lines=200,
        functions=30,
        classes=4,
        error=None,
    )


def test_a_new_reader_reads_an_old_writer_without_learning(
    old_release: Catalog, new_release: Catalog
) -> None:
    old = factory(old_release).create(file_processed_by_an_old_producer(), aggregate_id="x")
    viewed = Codec(new_release).view(Codec(old_release).encode(old))
    assert viewed.version == "1.0.0"
    assert isinstance(viewed.data, AnalysisFileProcessed)
    assert viewed.data.path == "schemas/event.py"
    assert viewed.data.imports == 0
    assert viewed.data.complexity is None


def test_both_releases_give_a_shared_version_the_same_id(
    old_release: Catalog, new_release: Catalog
) -> None:
    key = ("analysis.file.processed", "1.0.0")
    assert old_release.writer_schema(*key) == new_release.writer_schema(*key)


def test_learning_twice_changes_nothing(new_release: Catalog) -> None:
    codec = Codec(new_release)
    schema = new_release.writer_schema("analysis.started", "1.0.0")
    spaced = json.dumps(schema.record(), indent=3)
    assert codec.learn(spaced) == codec.learn(schema.composed_json) == schema


def test_a_type_that_nobody_here_knows_is_read_as_a_plain_mapping(new_release: Catalog) -> None:
    announced = new_release.writer_schema("analysis.started", "1.0.0").record()
    announced["eventType"] = "analysis.paused"
    schema = Codec(new_release).learn(json.dumps(announced))
    reader = Codec(new_release)
    reader.learn(schema.composed_json)
    started = from_mapping(
        "analysis.started",
        {"analysisId": "a", "projectId": "p", "package": "q", "files": 1, "root": "r"},
    )
    body = Codec(new_release).encode(started)[5:]
    viewed = reader.view(frame(schema.id, body))
    assert viewed.data == started.payload


def _grown(composed: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    """A composed schema whose envelope has one more field before the data."""
    *envelope, data = composed["fields"]
    return composed | {"envelopeVersion": 2, "fields": [*envelope, field, data]}


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (["null", "string"], b"\x00"),
        (["null", "string"], b"\x02\x06abc"),
        (["null", "long"], b"\x02\x80\x01"),
        (["null", {"type": "array", "items": "string"}], b"\x02\x04\x02a\x02b\x00"),
        (["null", {"type": "map", "values": "double"}], b"\x02\x01\x14\x02k" + bytes(8) + b"\x00"),
        (
            [
                "null",
                {
                    "type": "record",
                    "name": "Tenant",
                    "fields": [{"name": "id", "type": "string"}, {"name": "on", "type": "boolean"}],
                },
            ],
            b"\x02\x02x\x01",
        ),
    ],
)
def test_an_envelope_that_has_grown_is_read_by_this_release(
    new_release: Catalog, kind: Any, written: bytes
) -> None:
    event = factory(new_release).create(file_processed(), aggregate_id="x")
    codec = Codec(new_release)
    value = codec.encode(event)
    composed = new_release.schema_ids()[schema_id_of(value)].record()
    schema = codec.learn(
        normalised(_grown(composed, {"name": "tenant", "type": kind, "default": None}))
    )
    offset = codec.view(value)._offset
    grown = frame(schema.id, value[5:offset] + written + value[offset:])
    viewed = codec.view(grown)
    assert viewed == event
    assert viewed.data == event.data
