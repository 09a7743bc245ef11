"""What we lean on in aiokafka's builder so that it compresses quickly. Pinned: 0.14.0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from aiokafka.codec import lz4_decode, lz4_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchBuilderPy

from streams.kafka.clients import new_producer
from streams.kafka.compression import LZ4_LEVEL, compress_quickly
from streams.settings import KafkaSettings

LZ4 = 3
HEADER_BYTES = 61
TEXT = b"".join(b"%d is a number of which many are %d " % (it, it % 7) for it in range(2_000))


@pytest.fixture(params=[DefaultRecordBatchBuilder, _DefaultRecordBatchBuilderPy])
def builder(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """The builder in C and the one in Python, which compress as aiokafka has it."""
    module: Any = import_module(request.param.__module__)
    before, module.lz4_encode = module.lz4_encode, lz4_encode
    yield request.param
    module.lz4_encode = before


def section(builder: Callable[..., Any]) -> bytes:
    """What the batch of one record holds, compressed."""
    batch = builder(2, LZ4, 0, -1, -1, 0, 1_000_000)
    batch.append(0, 0, b"k", TEXT, [])
    return bytes(batch.build()[HEADER_BYTES:])


def test_batches_are_compressed_at_the_quick_level(
    builder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    thorough = section(builder)
    monkeypatch.setattr("streams.kafka.compression.DefaultRecordBatchBuilder", builder)
    compress_quickly()
    quick = section(builder)
    assert quick == lz4_encode(lz4_decode(quick), level=LZ4_LEVEL)
    assert lz4_decode(quick) == lz4_decode(thorough)
    assert len(quick) != len(thorough)


async def test_a_new_producer_compresses_at_the_quick_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("streams.kafka.clients.compress_quickly", lambda: asked.append(True))
    await new_producer(KafkaSettings(bootstrap="localhost:1")).stop()
    assert asked == [True]
