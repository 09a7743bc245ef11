"""How much work the producers of this process put into compressing a batch.

aiokafka asks lz4 for its ninth level: a tenth to a sixth fewer bytes for ten times the work. The
quick level is what librdkafka takes. What this leans on is not public: the version is pinned, and
tests/unit/streams/test_compression.py says what must hold.
"""

from functools import partial
from importlib import import_module
from typing import Any, Final

from aiokafka.codec import lz4_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder

LZ4_LEVEL: Final = 1


def compress_quickly() -> None:
    """For all producers of this process, from their next batch on."""
    # Whether the builder is that in C or that in Python, its module is where it looks.
    builders: Any = import_module(DefaultRecordBatchBuilder.__module__)
    builders.lz4_encode = partial(lz4_encode, level=LZ4_LEVEL)
