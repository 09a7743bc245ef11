"""From the data of one major version to the next: what Avro alone cannot read.

Within a major every version reads every other. Across majors an upcast does, a pure function from
the wire mapping of the older major, in its latest version, to that of the newer one. Upcasts are
chained and applied when the data of an event are touched, by a codec that is asked for it: what is
stored never changes.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from schemas.catalog import Catalog, WriterSchema
from schemas.errors import Fault, SchemaError, UpcastFailed
from schemas.event import DataReader
from schemas.event_data import EventData
from schemas.prefix_reader import EventView, view_as
from schemas.source import SourceSchema, major_of, version_key
from schemas.upcasts import UPCASTS, Upcast, UpcastKey
from schemas.validation import compile_check


class UpcastPath:
    """The way of events of one older version to the newest major that upcasts lead to."""

    def __init__(
        self, schema: WriterSchema, steps: Iterable["_Step"], data_type: type[EventData] | None
    ) -> None:
        self._schema = schema
        self._steps = tuple(steps)
        self._data_type = data_type

    def reader(self, reader: DataReader) -> DataReader:
        """Reads what is read of the older version as data of the newest."""
        return _UpcastReader(reader, self)

    def view(self, view: EventView) -> EventView:
        """Views the same events, in the version that their data are read as."""
        return view_as(view, self._steps[-1].version)

    def payload(self, older: Mapping[str, Any]) -> Mapping[str, Any]:
        """The wire mapping of the newest version. Raises UpcastFailed."""
        for step in self._steps:
            older = step.taken(self._schema, older)
        return older

    def data(self, older: Mapping[str, Any]) -> Any:
        """The typed data, or the wire mapping when the type has no class. Raises UpcastFailed."""
        payload = self.payload(older)
        return payload if self._data_type is None else self._data_type.from_wire(payload)


class Upcasting:
    """Knows the ways from older majors that the upcasts of a catalog lead."""

    def __init__(
        self, catalog: Catalog, data_types: Mapping[tuple[str, str], type[EventData]]
    ) -> None:
        self._data_types = data_types
        self._steps = {
            known.name: _steps(catalog, known.name, known.versions) for known in catalog.types()
        }

    def path(self, schema: WriterSchema) -> UpcastPath | None:
        """The way of events that were written so; None where nothing leads on from their major."""
        steps = self._steps.get(schema.type, {}).get(major_of(schema.version))
        if not steps:
            return None
        return UpcastPath(schema, steps, self._data_types.get((schema.type, steps[-1].version)))


class _UpcastReader:
    """Implements DataReader. Nothing is upcast before the data are touched."""

    def __init__(self, reader: DataReader, path: UpcastPath) -> None:
        self._reader = reader
        self._path = path

    def payload(self, framed: bytes, offset: int) -> Mapping[str, Any]:
        return self._path.payload(self._reader.payload(framed, offset))

    def data(self, framed: bytes, offset: int) -> Any:
        return self._path.data(self._reader.payload(framed, offset))


class _Step:
    """One upcast, and the check of what it gives."""

    def __init__(self, upcast: Upcast, version: str, record: Mapping[str, Any]) -> None:
        self.version = version
        self._upcast = upcast
        self._check = compile_check(record)

    def taken(self, schema: WriterSchema, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self._check(self._upcast(payload))
        except (SchemaError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise UpcastFailed(schema.type, schema.version, self.version, error) from error


def _steps(
    catalog: Catalog, event_type: str, versions: Iterable[str]
) -> dict[int, tuple[_Step, ...]]:
    """The steps from each older major on; one without an upcast ends in front of the gap."""
    latest = {major_of(version): version for version in sorted(versions, key=version_key)}
    majors = sorted(latest)
    steps: dict[int, tuple[_Step, ...]] = {}
    for major, following in reversed(list(pairwise(majors))):
        upcast = catalog.upcasts.get((event_type, major))
        if upcast is not None:
            version = latest[following]
            record = catalog.writer_schema(event_type, version).data_record()
            steps[major] = (_Step(upcast, version, record), *steps.get(following, ()))
    return steps


def upcast_faults(
    sources: Iterable[SourceSchema], upcasts: Mapping[UpcastKey, Upcast] = UPCASTS
) -> list[Fault]:
    """Majors that nothing leads out of, and upcasts that lead out of none."""
    majors: dict[str, dict[int, SourceSchema]] = {}
    for source in sorted(sources, key=lambda source: version_key(source.version)):
        majors.setdefault(source.type, {})[major_of(source.version)] = source
    faults = [
        Fault(
            file=known[following].file,
            path="",
            problem=f"nothing reads events of major {major} as major {following}",
            remedy=f"add an upcast for ({event_type!r}, {major}) to UPCASTS in schemas/upcasts.py",
        )
        for event_type, known in sorted(majors.items())
        for major, following in pairwise(sorted(known))
        if (event_type, major) not in upcasts
    ]
    for event_type, major in sorted(upcasts):
        known = majors.get(event_type, {})
        if major not in known or major == max(known):
            problem = f"the upcast for ({event_type!r}, {major}) leads nowhere"
            remedy = "correct the type and the major, or remove it"
            faults.append(
                Fault(file="schemas/upcasts.py", path="UPCASTS", problem=problem, remedy=remedy)
            )
    return faults
