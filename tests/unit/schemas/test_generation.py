import json
import shutil
from pathlib import Path

import pytest

from schemas.catalog import PACKAGED, Catalog
from schemas.check import all_faults, rule_faults
from schemas.errors import LockMismatch
from schemas.generation import apply, changes
from tests.unit.schemas.schema_files import field, record

ORDER = "avro/domain/order.placed"


@pytest.fixture(name="package")
def _package(tmp_path: Path) -> Path:
    """An installation with one event type, generated."""
    folder = tmp_path / ORDER
    folder.mkdir(parents=True)
    (folder / "1.0.0.avsc").write_text(json.dumps(record()))
    apply(changes(tmp_path), tmp_path)
    return tmp_path


def test_the_generated_files_of_this_repository_are_what_its_schemas_say() -> None:
    assert all_faults() == []


def test_generating_twice_changes_nothing(package: Path) -> None:
    assert changes(package).names == ()
    assert all_faults(package) == []


def test_one_new_file_is_one_more_version_and_touches_no_released_schema(package: Path) -> None:
    before = (package / "composed/order.placed/1.0.0.avsc").read_text()
    newer = record(more=[field("note", ["null", "string"], default=None)])
    (package / ORDER / "1.1.0.avsc").write_text(json.dumps(newer))
    found = changes(package)
    assert found.names == (
        "composed/order.placed/1.1.0.avsc",
        "events/__init__.py",
        "events/domain.py",
        "lock.json",
    )
    apply(found, package)
    assert Catalog.load(package / "avro").get("order.placed").versions == ("1.0.0", "1.1.0")
    assert (package / "composed/order.placed/1.0.0.avsc").read_text() == before
    classes = (package / "events/domain.py").read_text()
    assert "class OrderPlaced(EventData):" in classes
    assert "class OrderPlacedV1_0(EventData):" in classes


def test_a_stale_generated_file_is_a_fault(package: Path) -> None:
    (package / "events/domain.py").write_text("# by hand")
    (package / "composed/order.placed/9.9.9.avsc").write_text("{}")
    stale = [fault.file for fault in all_faults(package)]
    assert stale == ["composed/order.placed/9.9.9.avsc", "events/domain.py"]
    apply(changes(package), package)
    assert all_faults(package) == []


def test_a_changed_released_file_stops_generation_before_anything_is_written(
    package: Path,
) -> None:
    lock = (package / "lock.json").read_text()
    (package / ORDER / "1.0.0.avsc").write_text(json.dumps(record(doc="Said otherwise.")))
    with pytest.raises(LockMismatch, match="new version"):
        changes(package)
    assert (package / "lock.json").read_text() == lock
    assert [fault.file for fault in all_faults(package)] == ["domain/order.placed/1.0.0.avsc"]


def test_check_tells_the_faults_of_rules_versions_and_lock_at_once(package: Path) -> None:
    (package / ORDER / "1.0.0.avsc").write_text(json.dumps(record(doc="")))
    newer = record(wundr={"priority": "low"}, more=[field("note", "string")])
    (package / ORDER / "1.1.0.avsc").write_text(json.dumps(newer))
    paths = {(Path(fault.file).name, fault.path) for fault in all_faults(package)}
    assert paths >= {
        ("1.0.0.avsc", "doc"),
        ("1.1.0.avsc", "wundr.priority"),
        ("1.1.0.avsc", "note"),
        ("1.0.0.avsc", ""),
    }


def test_the_packaged_rules_hold_in_a_copy_without_lock(tmp_path: Path) -> None:
    shutil.copytree(PACKAGED, tmp_path / "avro")
    assert rule_faults(tmp_path) == []


@pytest.mark.parametrize(
    ("wundr", "category"),
    [
        ({"priority": "low"}, "domain"),
        ({"appended": False}, "domain"),
        ({}, "system"),
    ],
)
def test_check_refuses_an_appended_aggregate_whose_types_do_not_share_one_topic(
    tmp_path: Path, wundr: dict[str, object], category: str
) -> None:
    appended = {"appended": True}
    for place, content in {
        "domain/order.placed": record(wundr=appended),
        f"{category}/order.sent": record(
            name="OrderSent", namespace=f"wundr.{category}", wundr=appended | wundr
        ),
    }.items():
        folder = tmp_path / "avro" / place
        folder.mkdir(parents=True)
        (folder / "1.0.0.avsc").write_text(json.dumps(content))
    [fault] = rule_faults(tmp_path)
    assert fault.path == "wundr.aggregate"
    assert "shares the appended aggregate Order" in fault.problem
    assert fault in all_faults(tmp_path)
