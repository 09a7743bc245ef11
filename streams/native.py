"""Which parts in C of this package are there, and whether they are used; see `schemas.native`."""

from typing import Any, Final

from schemas import native

folding: Any = native.part("streams._native_folding")
"""Folds what is plain; see `streams.plain_events`."""

FOLDING_FORMAT: Final = 2
"""What it is given, and gives; raised with every change, in C too."""

AVAILABLE: Final = folding is not None and folding.FOLDING_FORMAT == FOLDING_FORMAT
IN_USE: Final = AVAILABLE and native.IS_WANTED

records: Any = native.part("streams.kafka._native_records")
"""Unpacks records; see `streams.kafka.record_batches`."""

UNPACK_FORMAT: Final = 2
"""What it is given, and gives; raised with every change, in C too."""

RECORDS_AVAILABLE: Final = records is not None and records.UNPACK_FORMAT == UNPACK_FORMAT
