import json
import shutil
from pathlib import Path

import pytest

from schemas.catalog import PACKAGED, Catalog
from schemas.composition import schema_id
from schemas.envelope import Category, Priority
from schemas.errors import (
    CatalogFault,
    InvalidPattern,
    LockMismatch,
    UnknownEventType,
    UnknownSchemaVersion,
)
from schemas.framing import LOCK_BIT
from schemas.generation import apply, changes
from schemas.topics import all_events_topics

GOLDEN_IDS = {
    ("analysis.file.processed", "1.0.0"): 1287454753,
    ("analysis.file.processed", "1.1.0"): 2044300860,
    ("analysis.started", "1.0.0"): 1488507527,
}
"""On the wire for ever: a change here is a change of released schemas."""


@pytest.fixture(name="package")
def _package(tmp_path: Path) -> Path:
    """A copy of the hand-written files with their lock, to be spoilt."""
    shutil.copytree(PACKAGED, tmp_path / "avro")
    shutil.copy(PACKAGED.parent / "lock.json", tmp_path)
    return tmp_path


def test_schema_ids_are_those_that_were_released() -> None:
    catalog = Catalog.load()
    found = {key: catalog.writer_schema(*key).id for key in GOLDEN_IDS}
    assert found == GOLDEN_IDS


def test_every_id_has_the_lock_bit_and_follows_from_the_text() -> None:
    for identifier, schema in Catalog.load().schema_ids().items():
        assert identifier & LOCK_BIT
        assert identifier < 1 << 31
        assert identifier == schema_id(schema.composed_json)


def test_a_composed_schema_says_nothing_of_routing() -> None:
    schema = Catalog.load().writer_schema("analysis.started", "1.0.0")
    assert "wundr" not in schema.data_record()
    assert schema.record()["fields"][-1]["name"] == "data"


def test_an_event_type_says_where_it_goes_and_whose_it_is() -> None:
    known = Catalog.load().get("analysis.file.processed")
    assert (known.category, known.priority) == (Category.DOMAIN, Priority.LOW)
    assert known.topic == "events.domain.low"
    assert known.aggregate_type == "SourceFile"
    assert known.versions == ("1.0.0", "1.1.0")
    assert known.latest == "1.1.0"


def test_every_category_and_priority_is_in_use() -> None:
    types = Catalog.load().types()
    assert {known.category for known in types} == set(Category)
    assert {known.priority for known in types} == set(Priority)


def test_an_unknown_type_or_version_is_refused() -> None:
    catalog = Catalog.load()
    with pytest.raises(UnknownEventType, match=r"'analysis\.begun'"):
        catalog.get("analysis.begun")
    with pytest.raises(UnknownSchemaVersion, match=r"only 1\.0\.0, 1\.1\.0"):
        catalog.writer_schema("analysis.file.processed", "2.0.0")


def test_a_pattern_finds_types_at_any_depth() -> None:
    found = [known.name for known in Catalog.load().matching("analysis.*")]
    assert found == ["analysis.completed", "analysis.file.processed", "analysis.started"]


def test_topics_are_those_in_which_matching_types_can_occur() -> None:
    catalog = Catalog.load()
    assert catalog.topics_for(["analysis.*"]) == ("events.domain.high", "events.domain.low")
    assert catalog.topics_for(["ui.*", "system.run.*"]) == (
        "events.system.critical",
        "events.ui.low",
    )
    assert set(catalog.topics_for(["*"])) == set(all_events_topics())
    assert catalog.topics_for(["nothing.here"]) == ()


def test_an_invalid_pattern_is_refused() -> None:
    with pytest.raises(InvalidPattern):
        Catalog.load().topics_for(["analysis.**"])


def test_a_changed_released_file_is_refused(package: Path) -> None:
    file = package / "avro/domain/analysis.started/1.0.0.avsc"
    record = json.loads(file.read_text())
    record["fields"][0]["doc"] = "Something else."
    file.write_text(json.dumps(record))
    with pytest.raises(LockMismatch, match=r"analysis\.started/1\.0\.0\.avsc.*released as id"):
        Catalog.load(package / "avro")


def test_a_released_published_type_may_become_appended_and_never_goes_back(package: Path) -> None:
    file = package / "avro/domain/notification.sent/1.0.0.avsc"
    released = file.read_text()
    record = json.loads(released)
    record["wundr"]["appended"] = True
    file.write_text(json.dumps(record))
    appended = Catalog.load(package / "avro")
    assert appended.get("notification.sent").appended
    assert appended.schema_ids().keys() == Catalog.load().schema_ids().keys()
    apply(changes(package), package)
    added = ',\n      "appended": true\n'
    locked = (package / "lock.json").read_text()
    assert locked.count(added) == 3
    assert locked.replace(added, "\n") == (PACKAGED.parent / "lock.json").read_text().replace(
        added, "\n"
    )
    file.write_text(released)
    with pytest.raises(LockMismatch, match=r"notification\.sent/1\.0\.0\.avsc.*released as id"):
        Catalog.load(package / "avro")


def test_a_released_type_may_become_compressible_in_browsers_and_go_back(package: Path) -> None:
    file = package / "avro/domain/notification.sent/1.0.0.avsc"
    released = file.read_text()
    record = json.loads(released)
    record["wundr"]["broadcast"]["compressible"] = True
    file.write_text(json.dumps(record))
    broadcast = Catalog.load(package / "avro").get("notification.sent").broadcast
    assert broadcast is not None
    assert broadcast.compressible
    assert "lock.json" not in changes(package).names
    file.write_text(released)
    broadcast = Catalog.load(package / "avro").get("notification.sent").broadcast
    assert broadcast is not None
    assert not broadcast.compressible


def test_white_space_in_a_released_file_is_no_change(package: Path) -> None:
    file = package / "avro/domain/analysis.started/1.0.0.avsc"
    file.write_text(json.dumps(json.loads(file.read_text())))
    assert Catalog.load(package / "avro").get("analysis.started").latest == "1.0.0"


def test_a_removed_released_file_is_refused(package: Path) -> None:
    (package / "avro/domain/analysis.file.processed/1.0.0.avsc").unlink()
    with pytest.raises(LockMismatch, match="its file is gone"):
        Catalog.load(package / "avro")


def test_a_file_that_was_never_locked_is_refused(package: Path) -> None:
    file = package / "avro/domain/analysis.started/1.0.0.avsc"
    shutil.copy(file, file.with_name("1.1.0.avsc"))
    with pytest.raises(LockMismatch, match="not in the lock yet"):
        Catalog.load(package / "avro")


def test_all_faults_of_all_files_are_told_at_once(package: Path) -> None:
    for name in ("analysis.started", "analysis.completed"):
        (package / f"avro/domain/{name}/1.0.0.avsc").write_text("{ not json")
    (package / "avro/domain/stray.avsc").write_text("{}")
    with pytest.raises(CatalogFault) as refused:
        Catalog.load(package / "avro")
    files = [fault.file for fault in refused.value.faults]
    assert "domain/analysis.completed/1.0.0.avsc" in files
    assert "domain/analysis.started/1.0.0.avsc" in files
    assert "domain/stray.avsc" in files


def test_one_version_of_a_type_stands_in_one_category(package: Path) -> None:
    file = package / "avro/system/analysis.started/1.0.0.avsc"
    file.parent.mkdir()
    record = json.loads((package / "avro/domain/analysis.started/1.0.0.avsc").read_text())
    file.write_text(json.dumps(record | {"namespace": "wundr.system"}))
    with pytest.raises(CatalogFault, match="is the same version as domain"):
        Catalog.load(package / "avro")


def test_an_empty_folder_is_no_catalog(tmp_path: Path) -> None:
    with pytest.raises(CatalogFault, match="holds no schema file"):
        Catalog.load(tmp_path)
