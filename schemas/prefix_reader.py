"""Reads the envelope of an event without touching its data.

A Python function is generated for each writer schema: straight-line code for exactly its fields in
their order. It gives the envelope and the place where the data begins. Fields that this release
does not know are skipped, nullable ones that the writer did not know are None: an envelope that
grew by nullable fields can be read both ways.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from schemas import read_source
from schemas.avro_skip import compile_skip, named_types
from schemas.envelope import (
    NO_EXTRA,
    NO_METADATA,
    Aggregate,
    Category,
    Envelope,
    Metadata,
    Priority,
)
from schemas.errors import InvalidWriterSchema, TruncatedEvent
from schemas.event import ENVELOPE_SLOTS, UNREAD, DataReader, Event
from schemas.framing import HEADER_SIZE
from schemas.read_source import read_length, read_long

EventView = Callable[[bytes], Event[Any]]
"""From framed bytes to the event in them. Raises TruncatedEvent like a prefix reader."""

PrefixReader = Callable[[bytes, int], tuple[Envelope, int]]
"""From the bytes and where the envelope begins to the envelope and where the data begins.

Raises TruncatedEvent over bytes that end early or do not fit."""

LATEST_MS: Final = 253_402_300_799_999
EARLIEST_MS: Final = -62_135_596_800_000
"""The years 1 to 9999: what a datetime can hold."""
_TIME_BYTES: Final = 6
_MOST_TIMES: Final = 4096

_TEXT, _LONG, _TIME, _CATEGORY, _PRIORITY, _TEXTS = (
    "text",
    "long",
    "time",
    "category",
    "priority",
    "texts",
)
_ENVELOPE: Final = {
    "id": _TEXT,
    "type": _TEXT,
    "category": _CATEGORY,
    "priority": _PRIORITY,
    "version": _TEXT,
    "timestamp": _TIME,
    "source": _TEXT,
    "correlationId": _TEXT,
    "causationId": _TEXT,
    "aggregate": {"type": _TEXT, "id": _TEXT, "version": _LONG},
    "metadata": {"userId": _TEXT, "traceId": _TEXT, "retryCount": _LONG, "extra": _TEXTS},
}
"""Known fields in the order of Envelope, Aggregate and Metadata, with what is read for them."""

_VERSION: Final[Any] = Event.__dict__["_version"]
"""The slot that `Event.version` is read from."""

_OPTIONAL: Final = frozenset(
    {
        "correlationId",
        "causationId",
        "aggregate",
        "aggregate.version",
        "metadata.userId",
        "metadata.traceId",
        "metadata.retryCount",
    }
)
_ALIKE: Final = (
    ("type", "category", "priority", "version"),
    ("source",),
    ("aggregate.type",),
)
"""Fields that nearly all events of a writer schema share: read once, then compared as bytes."""

_AVRO: Final = {_TEXT: {"string"}, _LONG: {"int", "long"}, _TIME: {"long"}}
_CLASSES: Final = {"aggregate": "Aggregate", "metadata": "Metadata"}


def compile_prefix_reader(composed: Mapping[str, Any]) -> PrefixReader:
    """The reader of a composed writer schema.

    Raises InvalidWriterSchema when its envelope is none of ours.
    """
    generator = _Generator(composed)
    values = ", ".join(generator.values)
    read: PrefixReader = generator.compiled([f"    return new(Envelope, ({values})), at"])
    return read


def view_as(view: EventView, version: str) -> EventView:
    """The same view of events whose data are read in another version than they were written in."""

    def view_in_version(framed: bytes) -> Event[Any]:
        event = view(framed)
        _VERSION.__set__(event, version)
        return event

    return view_in_version


def compile_event_view(composed: Mapping[str, Any], reader: DataReader) -> EventView:
    """The view of events that were written with a composed schema; `reader` decodes their data.

    Raises what `compile_prefix_reader` raises.
    """
    generator = _Generator(composed)
    generator.scope |= {"Event": Event, "UNREAD": UNREAD, "new_event": object.__new__}
    generator.scope["reader"] = reader
    fill = [
        f"    event.{slot} = {value}"
        for slot, value in zip(ENVELOPE_SLOTS, generator.values, strict=True)
    ]
    fill += [
        "    event._framed = data",
        "    event._offset = at",
        "    event._reader = reader",
        "    event._payload = event._data = event._envelope = UNREAD",
    ]
    view: EventView = generator.compiled(
        ["    event = new_event(Event)", *fill, "    return event"]
    )
    return view


def read_texts(data: bytes, at: int) -> tuple[dict[str, str], int]:
    """A map of texts; a block with a negative count also carries its size in bytes."""
    entries: dict[str, str] = {}
    while True:
        count, at = read_long(data, at)
        if count == 0:
            return entries, at
        if count < 0:
            count = -count
            _, at = read_long(data, at)
        for _ in range(count):
            key, at = _read_text(data, at)
            entries[key], at = _read_text(data, at)


def read_time(data: bytes, at: int, known: dict[bytes, int]) -> tuple[int, int]:
    """Milliseconds since 1970 that a datetime can hold.

    Of one after 1970 in six bytes, what the last four say is noted in `known`, less the marks of
    the first two: their seven bits, halved as zigzag doubles, are all that must be added.
    """
    time, end = read_long(data, at)
    if not EARLIEST_MS <= time <= LATEST_MS:
        raise ValueError("the timestamp is outside of the years 1 to 9999")
    if time >= 0 and end - at == _TIME_BYTES:
        if len(known) == _MOST_TIMES:
            known.clear()
        known[data[at + 2 : end]] = (time >> 13 << 13) - (128 >> 1) - (128 << 6)
    return time, end


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    length, at = read_length(data, at + 1, data[at])
    end = at + (length >> 1)
    if end > len(data):
        raise TruncatedEvent(f"a text reaches to {end}, past the end at {len(data)}")
    return data[at:end].decode(), end


def is_empty_as_zero(field: Mapping[str, Any]) -> bool:
    """Whether a zero byte says null, or a map without entries."""
    kind = field["type"]
    if isinstance(kind, list):
        return bool(kind[0] == "null")
    return isinstance(kind, dict) and kind["type"] == "map"


def _alike_run(path: str, fields: Any) -> Any:
    """The fields at the front that are read together; none where they stand otherwise."""
    for names in _ALIKE:
        run = fields[: len(names)]
        if tuple(f"{path}{field['name']}" for field in run) == names:
            return run
    return ()


class _Generator:
    """Writes the source of one reader.

    Only names of this module enter it, never those of a schema.
    """

    def __init__(self, composed: Mapping[str, Any]) -> None:
        self._fields = composed["fields"][:-1]
        self._names = named_types(
            [field["type"] for field in self._fields], str(composed.get("namespace", ""))
        )
        self._next = 0
        self.scope: dict[str, Any] = {
            "new": tuple.__new__,
            "Envelope": Envelope,
            "Aggregate": Aggregate,
            "Metadata": Metadata,
            "NO_EXTRA": NO_EXTRA,
            "NO_METADATA": NO_METADATA,
            "read_texts": read_texts,
            "read_time": read_time,
            "DAMAGED": (IndexError, RecursionError, ValueError),
            "TruncatedEvent": TruncatedEvent,
            **read_source.SCOPE,
        }
        self._lines, self.values = self._record("", self._fields, _ENVELOPE, " " * 8)

    def compiled(self, closing: list[str]) -> Any:
        """The function that reads an envelope into variables and ends with these lines."""
        source = [
            f"def read_envelope(data, at={HEADER_SIZE}):",
            "    try:",
            *self._lines,
            "        if at > len(data):",
            "            raise IndexError('the bytes end early')",
            "    except DAMAGED as error:",
            "        raise TruncatedEvent(f'the envelope cannot be read: {error}') from error",
            *closing,
        ]
        code = compile("\n".join(source), "<prefix reader>", "exec")
        exec(code, self.scope)  # noqa: S102  # names from a schema never enter it
        return self.scope["read_envelope"]

    def _record(
        self, path: str, fields: Any, known: Mapping[str, Any], indent: str
    ) -> tuple[list[str], list[str]]:
        """The lines that read the fields in the writer's order, and their variables in ours."""
        lines: list[str] = []
        present: dict[str, str] = {}
        place = 0
        while place < len(fields):
            run = _alike_run(path, fields[place:])
            if run:
                lines += self._alike(path, run, known, present, indent)
            else:
                lines += self._next_field(path, fields[place], known, present, indent)
            place += len(run) or 1
        for name in known:
            if name not in present and f"{path}{name}" not in _OPTIONAL:
                raise InvalidWriterSchema(f"the envelope has no {path}{name}")
        return lines, [present.get(name, "None") for name in known]

    def _next_field(
        self,
        path: str,
        field: Mapping[str, Any],
        known: Mapping[str, Any],
        present: dict[str, str],
        indent: str,
    ) -> Iterator[str]:
        """Read a field that is known here, skip another."""
        name, kind = field["name"], field["type"]
        if name in known:
            present[name] = self._variable()
            yield from self._field(f"{path}{name}", kind, known[name], present[name], indent)
        else:
            yield f"{indent}at = {self._constant(compile_skip(kind, self._names))}(data, at)"

    def _alike(
        self,
        path: str,
        run: Any,
        known: Mapping[str, Any],
        present: dict[str, str],
        indent: str,
    ) -> Iterator[str]:
        """Read fields that stand together, unless their bytes are those of the event before."""
        seen = self._constant([(b"", (None,) * len(run), 0)])
        inner = indent + "    "
        lines: list[str] = []
        for field in run:
            lines += self._next_field(path, field, known, present, inner)
        values = ", ".join(present[field["name"]] for field in run) + ","
        yield f"{indent}same, values, size = {seen}[0]"
        yield f"{indent}if size and data[at : at + size] == same:"
        yield f"{inner}at += size"
        yield f"{inner}{values} = values"
        yield f"{indent}else:"
        yield f"{inner}begin = at"
        yield from lines
        yield f"{inner}if at <= len(data):"
        yield f"{inner}    {seen}[0] = data[begin:at], ({values}), at - begin"

    def _field(self, path: str, kind: Any, known: Any, variable: str, indent: str) -> Iterator[str]:
        """A known field, nullable or not."""
        if not isinstance(kind, list):
            yield from self._value(path, kind, known, variable, indent)
            return
        if sorted(branch == "null" for branch in kind) != [False, True]:
            raise InvalidWriterSchema(f"{path} is a union of more than null and one type")
        null = kind.index("null")
        yield from read_source.branch(indent)
        yield f"{indent}if n == {2 * null}:"
        yield f"{indent}    {variable} = None"
        yield f"{indent}elif n == {2 - 2 * null}:"
        yield from self._value(path, kind[1 - null], known, variable, indent + "    ")
        yield f"{indent}else:"
        yield f"{indent}    raise IndexError('a union has no such branch')"

    def _value(self, path: str, kind: Any, known: Any, variable: str, indent: str) -> Iterator[str]:
        kind = self._names.get(kind, kind) if isinstance(kind, str) else kind
        shape = kind["type"] if isinstance(kind, dict) else kind
        if isinstance(known, dict) and shape == "record":
            if path == "metadata" and all(map(is_empty_as_zero, kind["fields"])):
                zeros = self._constant(bytes(len(kind["fields"])))
                yield f"{indent}if data[at : at + {len(kind['fields'])}] == {zeros}:"
                yield f"{indent}    at += {len(kind['fields'])}"
                yield f"{indent}    {variable} = NO_METADATA"
                yield f"{indent}else:"
                indent += "    "
            lines, values = self._record(f"{path}.", kind["fields"], known, indent)
            yield from lines
            yield f"{indent}{variable} = new({_CLASSES[path]}, ({', '.join(values)}))"
        elif known in {_CATEGORY, _PRIORITY} and shape == "enum":
            yield from self._enum(kind["symbols"], known, variable, indent)
        elif known == _TEXTS and shape == "map" and kind["values"] == "string":
            yield f"{indent}if data[at]:"
            yield f"{indent}    {variable}, at = read_texts(data, at)"
            yield f"{indent}else:"
            yield f"{indent}    {variable} = NO_EXTRA"
            yield f"{indent}    at += 1"
        elif isinstance(known, str) and shape in _AVRO.get(known, ()):
            read = {_TEXT: read_source.sized, _LONG: read_source.integer, _TIME: self._time}
            yield from read[known](variable, indent)
        else:
            raise InvalidWriterSchema(f"{path} of the envelope is {shape!r}")

    def _time(self, variable: str, indent: str) -> Iterator[str]:
        """Milliseconds of our decades are six bytes long, the last four the same for 8 seconds."""
        known = self._constant({})
        yield f"{indent}eon = {known}.get(data[at + 2 : at + 6])"
        yield f"{indent}if (eon is not None and (low := data[at]) & 129 == 128"
        yield f"{indent}    and (high := data[at + 1]) > 127):"
        yield f"{indent}    {variable} = eon + (low >> 1) + (high << 6)"
        yield f"{indent}    at += 6"
        yield f"{indent}else:"
        yield f"{indent}    {variable}, at = read_time(data, at, {known})"

    def _enum(self, symbols: Any, known: str, variable: str, indent: str) -> Iterator[str]:
        """Members by their place in the writer's list.

        A symbol that is unknown here is refused when met.
        """
        members: Mapping[str, Any] = (
            {category.value: category for category in Category}
            if known == _CATEGORY
            else Priority.__members__
        )
        table = self._constant(tuple(members.get(symbol) for symbol in symbols))
        yield from read_source.branch(indent)
        yield f"{indent}{variable} = {table}[n >> 1]"
        yield f"{indent}if n & 1 or {variable} is None:"
        yield f"{indent}    raise IndexError('an enum symbol is not known')"

    def _variable(self) -> str:
        self._next += 1
        return f"v{self._next}"

    def _constant(self, value: Any) -> str:
        """A name in the function's scope for a value."""
        self._next += 1
        name = f"k{self._next}"
        self.scope[name] = value
        return name
