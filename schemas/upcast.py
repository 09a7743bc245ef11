"""From the data of one major version to the next: what Avro alone cannot read.

Within a major every version reads every other. Across majors an upcast does, a pure function from
the wire mapping of the older major, in its latest version, to that of the newer one. Upcasts are
chained and applied on read, when asked for: what is stored never changes.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from schemas.catalog import Catalog
from schemas.errors import Fault, SchemaError, UpcastFailed
from schemas.event import Event
from schemas.event_data import EventData
from schemas.events import DATA_TYPES
from schemas.source import SourceSchema, major_of, version_key
from schemas.validation import compile_check

Upcast = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Gives the wire mapping of the next major; leaves the given one as it is."""

UpcastKey = tuple[str, int]
"""An event type, and the major version that is read."""

UPCASTS: Final[Mapping[UpcastKey, Upcast]] = MappingProxyType({})
"""The upcasts of the packaged event types, none of which has a second major yet."""


class Upcasting:
    """Lifts events of older majors to the latest one of their type; others stay as they are."""

    def __init__(
        self,
        catalog: Catalog,
        upcasts: Mapping[UpcastKey, Upcast] = UPCASTS,
        *,
        data_types: Mapping[tuple[str, str], type[EventData]] = DATA_TYPES,
    ) -> None:
        self._data_types = data_types
        self._paths: dict[str, dict[int, tuple[_Step, ...]]] = {
            known.name: _paths(catalog, known.name, known.versions, upcasts)
            for known in catalog.types()
        }

    def lift(self, event: Event[Any]) -> Event[Any]:
        """The event in the latest major that is known here, with its id and all its envelope.

        Raises UpcastFailed when the data that an upcast gives do not fit their schema.
        """
        paths = self._paths.get(event.type)
        if not paths or major_of(event.version) not in paths:
            return event
        payload = event.payload
        version = event.version
        for step in paths[major_of(event.version)]:
            payload, version = step.taken(event, payload), step.version
        data_type = self._data_types.get((event.type, version))
        data = payload if data_type is None else data_type.from_wire(payload)
        return Event(event.envelope._replace(version=version), data)


class _Step:
    """One upcast, and the check of what it gives."""

    def __init__(self, upcast: Upcast, version: str, record: Mapping[str, Any]) -> None:
        self.version = version
        self._upcast = upcast
        self._check = compile_check(record)

    def taken(self, event: Event[Any], payload: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self._check(self._upcast(payload))
        except (SchemaError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise UpcastFailed(event.type, event.version, self.version, error) from error


def _paths(
    catalog: Catalog,
    event_type: str,
    versions: Iterable[str],
    upcasts: Mapping[UpcastKey, Upcast],
) -> dict[int, tuple[_Step, ...]]:
    """The steps from each older major on; one without an upcast ends in front of the gap."""
    latest = {major_of(version): version for version in sorted(versions, key=version_key)}
    majors = sorted(latest)
    paths: dict[int, tuple[_Step, ...]] = {}
    for major, following in reversed(list(pairwise(majors))):
        upcast = upcasts.get((event_type, major))
        if upcast is not None:
            version = latest[following]
            record = catalog.writer_schema(event_type, version).data_record()
            paths[major] = (_Step(upcast, version, record), *paths.get(following, ()))
    return paths


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
            remedy=f"add an upcast for ({event_type!r}, {major}) to UPCASTS in schemas/upcast.py",
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
                Fault(file="schemas/upcast.py", path="UPCASTS", problem=problem, remedy=remedy)
            )
    return faults
