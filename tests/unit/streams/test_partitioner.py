"""The partition of a key: golden values that Kafka's Java producer gives."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from streams.partitioner import murmur2, partition_of
from tests.unit.streams.golden_partitions import GOLDEN

AIOKAFKA = DefaultPartitioner()


@pytest.mark.parametrize(("key", "of_4", "of_7"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_a_key_belongs_where_java_puts_it(key: str, of_4: int, of_7: int) -> None:
    assert partition_of(key.encode(), 4) == of_4
    assert partition_of(key.encode(), 7) == of_7


@given(key=st.binary(min_size=1, max_size=64), partitions=st.integers(1, 64))
def test_the_log_in_process_and_aiokafka_agree_on_every_key(key: bytes, partitions: int) -> None:
    numbers = list(range(partitions))
    assert partition_of(key, partitions) == AIOKAFKA(key, numbers, numbers)


def test_hashes_are_unsigned_words() -> None:
    assert murmur2(b"") == 275646681
    assert 0 <= murmur2(b"Analysis/json") <= 0xFFFFFFFF
