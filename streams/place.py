"""Where a record stands, as tables know it: in its source partition, in a stream of emissions."""

from collections.abc import Hashable
from typing import Final

from schemas.topics import repartition_topic
from streams.emission import EMISSION, LAST_OFFSET, Emission
from streams.records import LATE, ORIGIN, RawRecord

Place = tuple[str, int, str | None, int, bool]
"""Source partition and offset; the stream of emitted events that it belongs to, and its step;
whether the record is redriven: a copy that comes out of order.

A plain tuple: one is made per event.
"""

IN_ORDER: Final = repartition_topic("", "").rstrip(".")
"""How the names of topics begin whose copies are in the order of what they were copied from."""


class Places:
    """Reads the places of the records of one batch, most of which share their sources."""

    def __init__(self) -> None:
        self._sources: dict[Hashable, str] = {}

    def of(self, record: RawRecord) -> Place:
        """The place. Raises ValueError when a header that names it cannot be read."""
        copied_from = emitted = None
        is_late = False
        for name, content in record.headers:
            if name == LATE:
                is_late = True
            elif name == ORIGIN:
                copied_from = copied_from or content
            elif name == EMISSION:
                emitted = emitted or content
        if copied_from is None or is_late:
            known_as: Hashable = record[:2]
            offset, is_redriven = record.offset, False
        else:
            known_as, _, digits = copied_from.rpartition(b"/")
            offset, is_redriven = int(digits), not record.topic.startswith(IN_ORDER)
            if not 0 <= offset <= LAST_OFFSET:
                raise ValueError(f"no record was first read at {offset}")
        source = self._sources.get(known_as)
        if source is None:
            source = str(record.source if is_late else record.origin.source)
            self._sources[known_as] = source
        if emitted is None:
            return source, offset, None, -1, is_redriven
        emission = Emission.decode(emitted)
        return source, offset, f"{source}<{emission.stream}", emission.place, is_redriven
