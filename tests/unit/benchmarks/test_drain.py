"""Whose group is placed where a run begins."""

from __future__ import annotations

import pytest

from benchmarks.catalogue import load
from benchmarks.drain import group_of

GROUPS = {
    ("policies", "wundr"): "run.main",
    ("policies", "ours, every policy"): "run.main",
    ("consume", "raw aiokafka + fastavro"): "run",
    ("consume", "Kafka Streams"): "run",
}


@pytest.mark.parametrize(("bench", "name"), GROUPS)
def test_an_app_of_ours_reads_in_its_main_subscription_whatever_it_is_called(
    bench: str, name: str
) -> None:
    (system,) = [it for it in load(bench).systems if it.name == name]
    assert group_of(system, "run") == GROUPS[bench, name]
