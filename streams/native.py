"""Which parts in C of this package are there, and whether they are used; see `schemas.native`."""

from importlib import import_module
from typing import Any, Final

from schemas import native


def _part(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:  # where it was not built
        return None


folding: Any = _part("streams._native_folding")
"""Folds what is plain; see `streams.plain_events`."""

FOLDING_FORMAT: Final = 1
"""What it is given, and gives; raised with every change, in C too."""

AVAILABLE: Final = folding is not None and folding.FOLDING_FORMAT == FOLDING_FORMAT
IN_USE: Final = AVAILABLE and native.IS_WANTED

records: Any = _part("streams.kafka._native_records")
"""Unpacks records; see `streams.kafka.record_batches`."""

UNPACK_FORMAT: Final = 2
"""What it is given, and gives; raised with every change, in C too."""

RECORDS_AVAILABLE: Final = records is not None and records.UNPACK_FORMAT == UNPACK_FORMAT
