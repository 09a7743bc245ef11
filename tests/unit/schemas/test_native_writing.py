"""The envelope writer in C beside that in Python: the same answer to everything, nothing kept."""

import gc
import sys
from collections import OrderedDict
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import native
from schemas.envelope import (
    NO_EXTRA,
    NO_METADATA,
    Aggregate,
    Category,
    Envelope,
    Metadata,
    Priority,
)
from schemas.prefix_writer import _judged, _kind, write_envelope
from tests.unit.schemas.test_prefix_reader import PLAIN, envelopes

needs_c = pytest.mark.skipif(not native.WRITING_AVAILABLE, reason="no compiler was at hand")


class Text(str):
    """No plain text."""

    __slots__ = ()


class Number(int):
    """No plain number."""


class Extra(dict[str, str]):
    """No plain dictionary."""


class OtherEnvelope(Envelope):
    """No plain envelope."""

    __slots__ = ()


class OtherMetadata(Metadata):
    """No plain metadata."""

    __slots__ = ()


FULL: Final = PLAIN._replace(
    correlation_id="c" * 70,
    causation_id="ü" * 70,
    aggregate=Aggregate("Run", "r", 1 << 40),
    metadata=Metadata("alice", "a" * 32, -2, {"ключ": "значение", "empty": ""}),
)

odd: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 1, 1.5, b"bytes", [], Text("text"), Text("\ud800"), Number(3), object]
)
texts = st.text(max_size=40) | st.text("aé\x00\ud800", max_size=4) | st.just("ä" * 5_000)
numbers = (
    st.integers(-(1 << 31) - 2, (1 << 31) + 1)
    | st.integers(-(1 << 63) - 2, (1 << 63) + 1)
    | st.integers(-(1 << 70), 1 << 70)
)
entries: st.SearchStrategy[Any] = st.dictionaries(texts, texts, max_size=5)
extras = (
    st.just(NO_EXTRA)
    | entries
    | entries.map(MappingProxyType)
    | entries.map(OrderedDict)
    | entries.map(Extra)
    | st.dictionaries(texts | st.integers() | st.none(), texts | odd, max_size=3)
)


def usually(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """These in most of the cases."""
    return st.integers(0, 24).flatmap(lambda chance: values if chance else odd)


metadata = st.builds(
    Metadata,
    usually(st.none() | texts),
    usually(st.none() | texts),
    usually(st.none() | numbers),
    usually(extras),
)
aggregates = st.builds(Aggregate, usually(texts), usually(texts), usually(st.none() | numbers))
told = st.builds(
    Envelope,
    id=usually(texts),
    type=usually(texts),
    category=usually(st.sampled_from([*Category, "domain", "other"])),
    priority=usually(st.sampled_from([*Priority, 2, 9])),
    version=usually(texts),
    timestamp_ms=usually(numbers),
    source=usually(texts),
    correlation_id=usually(st.none() | texts),
    causation_id=usually(st.none() | texts),
    aggregate=usually(st.none() | aggregates | st.tuples(texts, texts, st.none())),
    metadata=usually(st.just(NO_METADATA) | metadata | metadata.map(tuple)),
)


def answer(write: Callable[[Any], bytes], envelope: Any) -> Any:
    """What is written, or the error's class and message."""
    try:
        return write(envelope)
    except Exception as error:  # noqa: BLE001  # whatever it is, it must be the same
        return type(error), str(error)


def refuse(_envelope: object) -> bytes:
    """The fallback of a writer that must not need any."""
    pytest.fail("asked")


def ask(_envelope: object) -> bytes:
    """The fallback of a writer that must need it."""
    return b"asked"


def writer(fallback: Any = _judged, kind: Any = _kind) -> Callable[[Any], bytes]:
    """The one in C."""
    made: Callable[[Any], bytes] = native.writing.EnvelopeWriter(
        Envelope, Aggregate, Metadata, NO_EXTRA, kind, fallback
    ).write
    return made


@needs_c
@given(envelopes)
def test_what_can_be_written_is_written_as_in_python(envelope: Envelope) -> None:
    assert writer(refuse)(envelope) == _judged(envelope)


@needs_c
@given(told)
def test_whatever_is_told_gets_the_same_answer(envelope: Envelope) -> None:
    assert answer(writer(), envelope) == answer(_judged, envelope)


@needs_c
@pytest.mark.parametrize("size", [0, 1, 63, 64, 400, 511, 512, 513, 8_191, 8_192, 3_000_000])
def test_a_text_of_any_size_is_written_in_c(size: int) -> None:
    for letter in "aé😀":
        envelope = FULL._replace(source=letter * size)
        assert writer(refuse)(envelope) == _judged(envelope)


@needs_c
def test_many_entries_are_written_in_c() -> None:
    extra = {f"key {number}": "v" * number for number in range(300)}
    envelope = PLAIN._replace(metadata=Metadata(extra=extra))
    assert writer(refuse)(envelope) == _judged(envelope)


@needs_c
@pytest.mark.parametrize(
    "envelope",
    [
        *(None, (), tuple(PLAIN), OtherEnvelope(*PLAIN), SimpleNamespace(**PLAIN._asdict())),
        tuple.__new__(Envelope, ("id",)),
        PLAIN._replace(id=Text("id")),
        PLAIN._replace(source="\ud800"),
        PLAIN._replace(timestamp_ms=True),
        PLAIN._replace(timestamp_ms=1 << 63),
        PLAIN._replace(version="\udfff"),
        PLAIN._replace(category="nowhere"),  # type: ignore[arg-type]  # on purpose
        PLAIN._replace(type=[]),  # type: ignore[arg-type]  # on purpose
        PLAIN._replace(aggregate=("Run", "r", None)),  # type: ignore[arg-type]  # on purpose
        PLAIN._replace(aggregate=tuple.__new__(Aggregate, ("Run", "r"))),
        PLAIN._replace(aggregate=Aggregate("Run", "r", -(1 << 63) - 1)),
        PLAIN._replace(metadata=OtherMetadata()),
        PLAIN._replace(metadata=tuple.__new__(Metadata, ())),
        PLAIN._replace(metadata=Metadata(retry_count=1 << 31)),
        PLAIN._replace(metadata=Metadata(retry_count=-(1 << 31) - 1)),
        PLAIN._replace(metadata=Metadata(extra=MappingProxyType({"a": "b"}))),
        PLAIN._replace(metadata=Metadata(extra=Extra(a="b"))),
        PLAIN._replace(metadata=Metadata(extra={"a": "b", "c": "\ud800"})),
        PLAIN._replace(metadata=Metadata(extra={"a": 1})),  # type: ignore[dict-item]  # on purpose
        PLAIN._replace(metadata=Metadata(extra=None)),  # type: ignore[arg-type]  # on purpose
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_python(envelope: Any) -> None:
    assert writer(ask)(envelope) == b"asked"
    assert answer(writer(), envelope) == answer(_judged, envelope)


@needs_c
@pytest.mark.parametrize("kind", [lambda *_: None, lambda *_: bytearray(b"k"), lambda: b"k"])
def test_a_kind_that_is_no_bytes_is_left_to_python(kind: Callable[..., object]) -> None:
    assert writer(ask, kind)(PLAIN) == b"asked"


@needs_c
def test_what_ends_a_program_is_not_answered_by_python() -> None:
    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writer(ask, interrupted)(PLAIN)


@needs_c
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (Envelope, Aggregate, Metadata, NO_EXTRA, _kind),
        (int, Aggregate, Metadata, NO_EXTRA, _kind, _judged),
        (Envelope, dict, Metadata, NO_EXTRA, _kind, _judged),
        (Envelope, Aggregate, object, NO_EXTRA, _kind, _judged),
        (Envelope, Aggregate, "Metadata", NO_EXTRA, _kind, _judged),
    ],
)
def test_what_no_writer_can_be_made_of_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        native.writing.EnvelopeWriter(*arguments)


@needs_c
@pytest.mark.parametrize("arguments", [(), (PLAIN, PLAIN)])
def test_it_writes_one_envelope(arguments: tuple[Any, ...]) -> None:
    write: Any = writer()
    with pytest.raises(TypeError):
        write(*arguments)


@needs_c
def test_nothing_is_kept_of_what_was_written() -> None:
    write = writer()
    large = FULL._replace(source="é" * 2_000)
    refused = [
        FULL._replace(metadata=FULL.metadata._replace(extra={"a": "b", "c": "\ud800"})),
        large._replace(metadata=FULL.metadata._replace(retry_count=1 << 31)),
        FULL._replace(category="nowhere"),  # type: ignore[arg-type]  # on purpose
        None,
    ]

    def some() -> int:
        for _ in range(300):
            assert write(FULL)
            assert write(large)
            for envelope in refused:
                answer(write, envelope)
        gc.collect()  # tuples that are kept to be used again
        return sys.getallocatedblocks()

    kind = _kind(FULL.type, FULL.category, FULL.priority, FULL.version)
    watched: list[Any] = [FULL, *FULL, *FULL.metadata, *FULL.metadata.extra, kind, None, Envelope]
    *_, before = [some() for _ in range(3)]
    holders = [*map(sys.getrefcount, watched)]
    assert some() < before + 50
    for count, known in zip(map(sys.getrefcount, watched), holders, strict=True):
        assert abs(count - known) < 50


@needs_c
def test_a_writer_that_holds_itself_is_found() -> None:
    class Kind:
        write: object

        def __call__(self, *_: object) -> bytes:
            return b""

    def make() -> ref[Kind]:
        kind = Kind()
        kind.write = writer(kind=kind)
        return ref(kind)

    gone = make()
    gc.collect()
    assert gone() is None


def test_one_of_them_is_in_use() -> None:
    assert (write_envelope is _judged) is not native.WRITING_IN_USE
