"""Which parts in C of this package are there, and whether they are used; see `schemas.native`."""

from typing import Any, Final

from schemas import native

FOLDING_FORMAT: Final = 2
"""What it is given, and gives; raised with every change, in C too."""

folding: Any = native.part("streams._native_folding", "FOLDING_FORMAT", FOLDING_FORMAT)
"""Folds what is plain; see `streams.plain_events`."""

AVAILABLE: Final = folding is not None
IN_USE: Final = AVAILABLE and native.IS_WANTED

UNPACK_FORMAT: Final = 2
"""What it is given, and gives; raised with every change, in C too."""

records: Any = native.part("streams.kafka._native_records", "UNPACK_FORMAT", UNPACK_FORMAT)
"""Unpacks records; see `streams.kafka.record_batches`."""

RECORDS_AVAILABLE: Final = records is not None
