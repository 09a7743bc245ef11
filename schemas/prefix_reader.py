"""Reads the envelope of an event without touching its data.

For each writer schema a Python function is generated: straight-line code for exactly its fields, in
their order. It gives the envelope and the place where `data` begins. Fields that this release does
not know are skipped, so an envelope that has grown can be read.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, Final

from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError

from schemas.envelope import NO_METADATA, Aggregate, Category, Envelope, Metadata, Priority
from schemas.errors import InvalidWriterSchema, TruncatedEvent

PrefixReader = Callable[[bytes, int], tuple[Envelope, int]]
"""From the bytes and the place where the envelope begins to it and the place of `data`."""

DAMAGED: Final = (
    EOFError,
    IndexError,
    MemoryError,
    OverflowError,
    SchemaResolutionError,
    StopIteration,
    TypeError,
    UnicodeDecodeError,
    ValueError,
    struct.error,
)
"""What an Avro decoder raises on bytes that do not fit its schema."""

_ATTRIBUTES: Final = {
    "id": "id",
    "type": "type",
    "category": "category",
    "priority": "priority",
    "version": "version",
    "timestamp": "timestamp_ms",
    "source": "source",
    "correlationId": "correlation_id",
    "causationId": "causation_id",
    "aggregate": "aggregate",
    "metadata": "metadata",
}
_OPTIONAL: Final = {
    "correlation_id": "None",
    "causation_id": "None",
    "aggregate": "None",
    "metadata": "NO_METADATA",
}
EARLIEST_MS: Final = -62_135_596_800_000
LATEST_MS: Final = 253_402_300_799_999
"""The years 1 to 9999: what a datetime can hold."""

_SAME_FOR_ALL: Final = ("type", "category", "priority", "version")
"""Fields that hold one value for nearly all events of a writer schema: read once, then compared."""

_ENUMS: Final[dict[str, Mapping[str, Category] | Mapping[str, Priority]]] = {
    "category": {category.value: category for category in Category},
    "priority": {priority.name: priority for priority in Priority},
}
"""Members by their symbols on the wire."""

_RECORDS: Final = {
    "aggregate": ("Aggregate", {"type": "type", "id": "id", "version": "version"}),
    "metadata": (
        "Metadata",
        {"userId": "user_id", "traceId": "trace_id", "retryCount": "retry_count", "extra": "extra"},
    ),
}


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag number of up to 64 bits.

    Raises IndexError past the end, TruncatedEvent beyond 64 bits.
    """
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        shift += 7
        if shift > 63:
            raise TruncatedEvent("a number has more than 64 bits")


def read_text(data: bytes, at: int) -> tuple[str, int]:
    """A text with its length before it."""
    length, at = read_long(data, at)
    end = at + length
    if length < 0 or end > len(data):
        raise TruncatedEvent(f"a text of {length} bytes does not end before byte {len(data)}")
    return data[at:end].decode(), end


def read_texts(data: bytes, at: int) -> tuple[dict[str, str], int]:
    """A map of texts. A block with a negative count also carries its size in bytes."""
    entries: dict[str, str] = {}
    while True:
        count, at = read_long(data, at)
        if count == 0:
            return entries, at
        if count < 0:
            count = -count
            _, at = read_long(data, at)
        for _ in range(count):
            key, at = read_text(data, at)
            entries[key], at = read_text(data, at)


def compile_prefix_reader(composed: Mapping[str, Any]) -> PrefixReader:
    """The reader of a composed schema.

    Raises InvalidWriterSchema when it is no envelope of ours.
    """
    source = _Source()
    source.write_envelope(composed)
    # The source holds names of this module and numbers alone: nothing of the schema's own text.
    exec("\n".join(source.lines), source.scope)  # noqa: S102
    generated: PrefixReader = source.scope["read_envelope"]

    def read(data: bytes, at: int) -> tuple[Envelope, int]:
        try:
            return generated(data, at)
        except DAMAGED as error:
            raise TruncatedEvent(f"the envelope cannot be read ({error})") from error

    return read


class _Source:
    """The source of one reader while it is written, and the names that it uses."""

    def __init__(self) -> None:
        self.lines = ["def read_envelope(data, at):"]
        self.scope: dict[str, Any] = {
            "NO_METADATA": NO_METADATA,
            "Aggregate": Aggregate,
            "Envelope": Envelope,
            "Metadata": Metadata,
            "TruncatedEvent": TruncatedEvent,
            "new": tuple.__new__,
            "read_long": read_long,
            "read_text": read_text,
            "read_texts": read_texts,
        }

    def write_envelope(self, composed: Mapping[str, Any]) -> None:
        fields = [field for field in composed["fields"] if field["name"] != "data"]
        found: set[str] = set()
        for run in _runs(fields):
            names = [_ATTRIBUTES.get(field["name"]) for field in run]
            found.update(name for name in names if name)
            if tuple(names) == _SAME_FOR_ALL:
                self._write_same_for_all(run)
            else:
                self._write_fields(run, _ATTRIBUTES, "    ", "")
        missing = [name for name in Envelope._fields if name not in found]
        for name in missing:
            if name not in _OPTIONAL:
                raise InvalidWriterSchema(f"the envelope has no {name}")
            self._add("    ", f"{name} = {_OPTIONAL[name]}")
        self._add("    ", "if at > len(data):")
        self._add("        ", "raise TruncatedEvent('the envelope ends early')")
        self._add("    ", f"return new(Envelope, ({', '.join(Envelope._fields)})), at")

    def _add(self, indent: str, line: str) -> None:
        self.lines.append(indent + line)

    def _write_same_for_all(self, fields: Sequence[Mapping[str, Any]]) -> None:
        self.scope["remembered"] = [(b"", (None,) * len(fields), 0)]
        names = ", ".join(_SAME_FOR_ALL)
        self._add("    ", "known, values, size = remembered[0]")
        self._add("    ", "if size and data.startswith(known, at):")
        self._add("        ", "at += size")
        self._add("        ", f"{names} = values")
        self._add("    ", "else:")
        self._add("        ", "begin = at")
        self._write_fields(fields, _ATTRIBUTES, "        ", "")
        self._add("        ", "if at <= len(data):")
        self._add("            ", f"remembered[0] = data[begin:at], ({names}), at - begin")

    def _write_fields(
        self,
        fields: Sequence[Mapping[str, Any]],
        attributes: Mapping[str, str],
        indent: str,
        prefix: str,
    ) -> None:
        for field in fields:
            name = attributes.get(field["name"])
            if name is None:
                self._skip(field["type"], indent)
            else:
                self._read(field["type"], prefix + name, indent)

    def _skip(self, kind: Any, indent: str) -> None:
        name = f"skip_{len(self.scope)}"
        self.scope[name] = _skipper(kind)
        self._add(indent, f"at = {name}(data, at)")

    def _read(self, kind: Any, target: str, indent: str) -> None:
        if isinstance(kind, list):
            self._read_union(kind, target, indent)
            return
        name = kind["type"] if isinstance(kind, dict) else kind
        if name == "string":
            self._read_text(target, indent)
        elif name in ("int", "long"):
            self._add(indent, f"{target}, at = read_long(data, at)")
            if target == "timestamp_ms":
                self._add(indent, f"if not {EARLIEST_MS} <= {target} <= {LATEST_MS}:")
                self._add(indent, f"    raise TruncatedEvent(f'no clock shows {{{target}}} ms')")
        elif name == "null":
            self._add(indent, f"{target} = None")
        elif name == "enum" and target in _ENUMS:
            self._read_enum(kind, target, indent)
        elif name == "record" and target in _RECORDS:
            self._read_record(kind, target, indent)
        elif name == "map" and kind["values"] == "string":
            self._add(indent, f"{target}, at = read_texts(data, at)")
        else:
            raise InvalidWriterSchema(f"the envelope's {target} has the type {name!r}")

    def _read_text(self, target: str, indent: str) -> None:
        """One byte of length is the common case; what reaches past the end is seen at the end."""
        self._add(indent, "size = data[at]")
        self._add(indent, "if size < 128 and not size & 1:")
        self._add(indent, "    begin_text = at + 1")
        self._add(indent, "    at = begin_text + (size >> 1)")
        self._add(indent, f"    {target} = data[begin_text:at].decode()")
        self._add(indent, "else:")
        self._add(indent, f"    {target}, at = read_text(data, at)")

    def _read_union(self, branches: Sequence[Any], target: str, indent: str) -> None:
        self._add(indent, "branch, at = read_long(data, at)")
        for index, branch in enumerate(branches):
            self._add(indent, f"{'if' if index == 0 else 'elif'} branch == {index}:")
            self._read(branch, target, indent + "    ")
        self._add(indent, "else:")
        self._add(indent, "    raise TruncatedEvent(f'a union has no branch {branch}')")

    def _read_enum(self, kind: Mapping[str, Any], target: str, indent: str) -> None:
        members = _ENUMS[target]
        self.scope[f"all_{target}"] = {
            index: members[symbol]
            for index, symbol in enumerate(kind["symbols"])
            if symbol in members
        }
        self._add(indent, "symbol, at = read_long(data, at)")
        self._add(indent, f"{target} = all_{target}.get(symbol)")
        self._add(indent, f"if {target} is None:")
        self._add(indent, f"    raise TruncatedEvent(f'{target} number {{symbol}} is not known')")

    def _read_record(self, kind: Mapping[str, Any], target: str, indent: str) -> None:
        class_name, attributes = _RECORDS[target]
        is_empty_as_zeros = class_name == "Metadata" and all(
            map(_is_zero_when_empty, kind["fields"])
        )
        if is_empty_as_zeros:
            count = len(kind["fields"])
            self.scope["zeros"] = bytes(count)
            self._add(indent, "if data.startswith(zeros, at):")
            self._add(indent, f"    at += {count}")
            self._add(indent, f"    {target} = NO_METADATA")
            self._add(indent, "else:")
            indent += "    "
        prefix = f"{target}_"
        known = {field["name"] for field in kind["fields"]}
        missing = [name for name in attributes if name not in known]
        if missing:
            raise InvalidWriterSchema(f"the envelope's {target} has no {', '.join(missing)}")
        self._write_fields(kind["fields"], attributes, indent, prefix)
        values = ", ".join(prefix + name for name in attributes.values())
        self._add(indent, f"{target} = new({class_name}, ({values}))")


def _runs(fields: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The fields in order; those that are the same for all events together, if they stand so."""
    size = len(_SAME_FOR_ALL)
    at = 0
    while at < len(fields):
        names = tuple(_ATTRIBUTES.get(field["name"]) for field in fields[at : at + size])
        step = size if names == _SAME_FOR_ALL else 1
        yield fields[at : at + step]
        at += step


def _is_zero_when_empty(field: Mapping[str, Any]) -> bool:
    """Whether a zero byte says null or empty."""
    kind = field["type"]
    if isinstance(kind, list):
        return bool(kind[0] == "null")
    return isinstance(kind, dict) and kind["type"] == "map"


def _skipper(kind: Any) -> Callable[[bytes, int], int]:
    """Skips a value of any self-contained type.

    A field of a newer envelope is rare, so Avro may read it.
    """
    schema = parse_schema(kind)

    def skip(data: bytes, at: int) -> int:
        stream = BytesIO(data)
        stream.seek(at)
        schemaless_reader(stream, schema, None)
        return stream.tell()

    return skip
