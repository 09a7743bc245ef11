from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import samples, workload
from benchmarks.samples import Producers
from benchmarks.system import Stream
from benchmarks.workload import Filling, filling_of, identity_of
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture(scope="module")
def filling(catalog: Catalog) -> Filling:
    return filling_of(Stream.AVRO, 1.0, Codec(catalog))


def test_a_topic_is_the_same_one_for_a_shorter_run(catalog: Catalog, filling: Filling) -> None:
    longer = replace(filling, events=filling.events * 2)
    assert identity_of(filling, catalog) == identity_of(longer, catalog)


def test_one_other_byte_in_a_later_event_is_another_topic(
    catalog: Catalog, filling: Filling
) -> None:
    seen = 0

    def encode(event: Event[Any]) -> bytes:
        nonlocal seen
        seen += 1
        value = filling.encode(event)
        return value if seen < 1_500 else value[:-1] + bytes([value[-1] ^ 1])

    other = replace(filling, encode=encode)
    assert identity_of(filling, catalog) != identity_of(other, catalog)


def test_other_producers_are_another_topic(
    catalog: Catalog, filling: Filling, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity_of(filling, catalog)
    monkeypatch.setattr(workload, "Producers", lambda known: Producers(known, seed=2))
    assert identity_of(filling, catalog) != before


def test_other_code_of_the_samples_is_another_topic(
    catalog: Catalog, filling: Filling, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = identity_of(filling, catalog)
    changed = tmp_path / "samples.py"
    changed.write_text(Path(samples.__file__).read_text() + "\n")
    monkeypatch.setattr(samples, "__file__", str(changed))
    assert identity_of(filling, catalog) != before
