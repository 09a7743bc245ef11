"""Entries of one source that are opened, settled and encoded in C, beside those in Python."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.coverage import Coverage, OneSource
from streams.errors import StoreFailed
from streams.memory.table_store import MemoryEntryStore
from streams.one_source import _SLOTS, LONGEST_POSITION, OneSourceEntries
from streams.projection import NO_STATE, State, joined
from streams.table import END_OF_ONE, Changes, MemoryTable, OpenEntry, Table, TablePartition
from tests.unit.streams.folding_forms import FORMS, Form, answer, each_form
from tests.unit.streams.tabling import PARTITION

GENERATION: Final = 5
SOURCE: Final = "t/3"
EXPECTED: Final = OneSource.of(SOURCE, GENERATION)
KEY: Final = b"k"
BEGINNING: Final = EXPECTED.beginning
POSITIONS: Final = ("", "0", "1", "00", "01", "-1", "+1", "1 ", " 1", "1.0", "1e3", "0x1", "1_0")

positions = (
    st.integers(0, 10**20).map(str)
    | st.sampled_from([*POSITIONS, *("9" * digits for digits in (17, 18, 19, 20)), "1" + "0" * 17])
    | st.just("0" + "1" * 17)
)
states = st.sampled_from(
    [
        *(b'{"ids":["a"]}', b"{}", NO_STATE, b" null", b"null ", b"nul", b"", b"[]", b"1", b'"a"'),
        *(b'{"a":"}}\\n"}', b"{", b"{}\n", b"{}\n{}", b"{}}}\n{}", b"\xff", b'{"a":1}  '),
    ]
)
coverages = st.builds(
    Coverage,
    positions=st.dictionaries(
        st.sampled_from([SOURCE, "t/4", "<versions"]), st.integers(0, 10**19)
    ),
    missing=st.just({}) | st.just({SOURCE: {1}}),
    recent=st.just({}) | st.just({"id": None}),
    generation=st.sampled_from([0, GENERATION, GENERATION + 1, 50]),
)


def written(position: str, state: bytes) -> bytes:
    return BEGINNING + position.encode() + END_OF_ONE + state


plain = st.builds(written, positions, states)
others = st.builds(joined, coverages, states) | st.sampled_from(
    [
        b'{"state":{"ids":[]},"positions":{},"recent":[]}',
        b'{"state":{"ids":["a"]},"positions":{"t/3":1},"recent":["a"]}',
        OneSource.of("t/33", GENERATION).beginning + b"1" + END_OF_ONE + b"{}",
        OneSource.of(SOURCE, 55).beginning + b"1" + END_OF_ONE + b"{}",
        b"",
        BEGINNING,
        BEGINNING + b"1",
        BEGINNING + b"1}",
        BEGINNING + b"1}}",
        BEGINNING + b'1,"t/4":2}}\n{}',
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A value that is cut off, or has another byte."""
    value = written(draw(positions), draw(states))
    place = draw(st.integers(0, len(value)))
    return value[:place] + draw(st.binary(max_size=1)) + value[place + draw(st.integers(0, 1)) :]


values = plain | others | st.builds(lambda value, end: value[:end], plain, st.integers(0, 90))
values |= damaged()


class FailingStore(MemoryEntryStore):
    """A store whose files cannot be read."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        raise StoreFailed(f"{key!r} of {partition} cannot be read")

    def reading(self, partition: int) -> Callable[[bytes], bytes | None]:
        return partial(self.get, partition)


def partition_with(value: bytes | None, where: str = "hot") -> TablePartition:
    partition = MemoryTable("changelog").partition(PARTITION)
    if value is not None:
        partition.store(Changes({KEY: value}))
    match where:
        case "cooling":
            partition._cooling, partition._hot = partition._hot, {}
        case "store":
            partition._hot = {}
        case "newer":
            partition._cooling = {KEY: b"older"}
    return partition


def entries_in(
    form: Form, partition: TablePartition, initial: Callable[[], Any] = dict
) -> OneSourceEntries:
    return form.entries(partition, EXPECTED, initial)


def described(entry: OpenEntry | None) -> Any:
    """All that an entry holds."""
    return entry and {name: getattr(entry, name, "nothing") for name in _SLOTS}


def opened(form: Form, *found: tuple[bytes, int]) -> list[OpenEntry]:
    """Entries of these states, which reach further than what is stored."""
    made = []
    for state, reach in found:
        value = BEGINNING + b"7" + END_OF_ONE + state
        entry = entries_in(form, partition_with(value)).open(KEY)
        assert entry is not None
        entry.reach = reach
        made.append(entry)
    return made


@given(values, st.sampled_from(["hot", "cooling", "store", "newer"]))
@example(BEGINNING + b"9" * LONGEST_POSITION + END_OF_ONE + b"{}", "hot")
@example(BEGINNING + b"9" * (LONGEST_POSITION + 1) + END_OF_ONE + b"{}", "hot")
@example(BEGINNING + b"007" + END_OF_ONE + b"{}", "hot")
@example(BEGINNING + END_OF_ONE + b"{}", "hot")
@example(BEGINNING + b"1/" + END_OF_ONE + b"{}", "hot")
@example(BEGINNING + b"1:" + END_OF_ONE + b"{}", "hot")
@example(BEGINNING + b"0" + END_OF_ONE + NO_STATE, "hot")
def test_every_form_opens_what_the_table_would(value: bytes, where: str) -> None:
    python = entries_in(FORMS[0], partition_with(value, where))
    expected = answer(lambda: described(python.open(KEY)))
    for form in FORMS:
        partition = partition_with(value, where)
        found = answer(entries_in(form, partition).open, KEY)
        if isinstance(found, OpenEntry):
            assert type(found) is OpenEntry
            assert described(found) == expected
            taken = partition.take(KEY)
            assert taken is not None
            assert (found.stored, found.reach) == (taken.stored, found.position)
            assert found.state == ({} if taken.stored is None else orjson.loads(taken.stored))
            assert found.coverage == taken.coverage
        else:
            assert found == expected


@each_form
@given(st.integers(0, 10**LONGEST_POSITION - 1), st.dictionaries(st.text(), st.integers(0, 9)))
def test_what_an_entry_of_one_source_stores_is_opened(form: Form, at: int, state: State) -> None:
    stored = orjson.dumps(state)
    value = OpenEntry(EXPECTED, stored, at).encode(GENERATION)
    entry = entries_in(form, partition_with(value)).open(KEY)
    assert described(entry) == {
        "_covered": EXPECTED,
        "stored": stored,
        "position": at,
        "state": state,
        "reach": at,
        "folded": None,
        "is_changed": False,
    }
    assert entry is not None
    assert entry.encode(GENERATION) == value


@each_form
@pytest.mark.parametrize("key", [b"", b"k", b"\x00", b"\x7f" * 100])
def test_an_entry_that_is_not_stored_is_new(form: Form, key: bytes) -> None:
    made: State = {"made": 1}
    entry = entries_in(form, partition_with(None), lambda: made).open(key)
    assert described(entry) == {
        "_covered": EXPECTED,
        "stored": None,
        "position": -1,
        "state": made,
        "reach": -1,
        "folded": None,
        "is_changed": False,
    }
    assert entry is not None
    assert entry.state is made
    assert entry.coverage == Coverage(generation=GENERATION)


@each_form
@pytest.mark.parametrize("key", [b"\xff", b"\xffids/0", "ü".encode(), b"k\x80"])
def test_a_key_that_is_not_ascii_is_opened_elsewhere(form: Form, key: bytes) -> None:
    partition = partition_with(None)
    partition.store(Changes({key: BEGINNING + b"1" + END_OF_ONE + b"{}"}))
    assert entries_in(form, partition).open(key) is None


@each_form
@pytest.mark.parametrize("value", [None, BEGINNING + b"1" + END_OF_ONE + NO_STATE])
@pytest.mark.parametrize("state", [None, [], "text", OrderedDict()])
def test_an_initial_state_that_is_no_dictionary_is_judged_elsewhere(
    form: Form, value: bytes | None, state: object
) -> None:
    assert entries_in(form, partition_with(value), lambda: state).open(KEY) is None


@each_form
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, StoreFailed])
def test_what_an_initial_state_raises_is_raised(form: Form, error: type[BaseException]) -> None:
    def initial() -> State:
        raise error("on purpose")

    with pytest.raises(error, match="on purpose"):
        entries_in(form, partition_with(None), initial).open(KEY)


@each_form
def test_what_reading_the_store_raises_is_raised(form: Form) -> None:
    partition = Table("changelog", FailingStore()).partition(PARTITION)
    with pytest.raises(StoreFailed, match="b'k' of 3"):
        entries_in(form, partition).open(KEY)
    assert entries_in(form, partition).open(b"\xff") is None
    partition._hot = {KEY: BEGINNING + b"1" + END_OF_ONE + b"{}"}
    assert described(entries_in(form, partition).open(KEY))["position"] == 1


@each_form
@pytest.mark.parametrize("asked", ["no", "before", "other"])
def test_what_is_settled_is_stored_up_to_its_reach(form: Form, asked: str) -> None:
    first, second = opened(form, (b'{"a":1}', 9), (b"null", 10**30))
    first.state["b"] = 2
    if asked == "before":
        assert first.coverage.positions == {SOURCE: 7}
    elif asked == "other":
        first._covered = OneSource.of(SOURCE, 1)
    covered = first._covered
    entries_in(form, partition_with(None)).settle(iter([first, second]))
    assert (first.stored, first.is_changed, first.folded) == (b'{"a":1,"b":2}', True, None)
    assert (second.stored, second.is_changed) == (b"{}", True)
    assert first._covered is covered
    assert (first.reach, first.state) == (9, {"a": 1, "b": 2})
    assert first.coverage.positions == {SOURCE: 9}
    assert first.position == (7 if asked == "before" else 9)
    assert second.coverage.positions == {SOURCE: 10**30}


@each_form
@pytest.mark.parametrize("place", [0, 1, 2])
def test_all_are_settled_or_none(form: Form, place: int) -> None:
    entries = opened(form, *[(b"{}", 9)] * 3)
    for entry in entries:
        entry.state["more"] = 1
    assert entries[1].coverage.positions == {SOURCE: 7}
    entries[place].state["spoilt"] = object()
    before = [(described(entry), dict(entry.state)) for entry in entries]
    with pytest.raises(orjson.JSONEncodeError):
        entries_in(form, partition_with(None)).settle(dict.fromkeys(entries))
    assert [(described(entry), dict(entry.state)) for entry in entries] == before
    assert entries[1].coverage.positions == {SOURCE: 7}


@each_form
def test_nothing_is_settled_where_an_entry_was_not_opened(form: Form) -> None:
    (entry,) = opened(form, (b"{}", 9))
    with pytest.raises(AttributeError):
        entries_in(form, partition_with(None)).settle([entry, OpenEntry(EXPECTED, None)])
    with pytest.raises((TypeError, AttributeError)):
        entries_in(form, partition_with(None)).settle([entry, 1])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        entries_in(form, partition_with(None)).settle(1)  # type: ignore[arg-type]  # on purpose
    assert described(entry)["is_changed"] is False
    entries_in(form, partition_with(None)).settle([])


def open_entries() -> st.SearchStrategy[Callable[[], OpenEntry]]:
    """What makes entries that are the same each time."""

    def made(stored: bytes | None, at: int, how: str, is_changed: bool) -> OpenEntry:
        covered: Coverage | OneSource = EXPECTED
        if how == "equal":
            covered = OneSource.of(SOURCE, GENERATION)
        elif how == "another":
            covered = OneSource.of("t/4", GENERATION + 1)
        elif how == "singly":
            covered = Coverage(positions={"t/4": 1}, missing={"t/4": {0}}, generation=2)
        entry = OpenEntry(covered, stored, at)
        entry.is_changed = is_changed
        if how == "asked":
            assert entry.coverage.generation == GENERATION
        return entry

    return st.builds(
        lambda *drawn: lambda: made(*drawn),
        st.none() | st.sampled_from([b"{}", b'{"ids":["\\u00fc"]}', b"x" * 5_000]),
        st.sampled_from([-1, 0, 9, 10, 2**31, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**63),
        st.sampled_from(["plain"] * 4 + ["equal", "another", "singly", "asked"]),
        st.booleans() | st.just(True),
    )


@each_form
@given(st.dictionaries(st.binary(max_size=3), open_entries()), st.sampled_from([5, 6, 2**31]))
def test_what_is_encoded_is_what_each_entry_says(
    form: Form, makers: dict[bytes, Callable[[], OpenEntry]], generation: int
) -> None:
    given_, twins = ({key: make() for key, make in makers.items()} for _ in range(2))
    found = entries_in(form, partition_with(None)).encode(given_, generation)
    assert found == {
        key: entry.encode(generation) for key, entry in twins.items() if entry.is_changed
    }
    assert list(found) == [key for key, entry in given_.items() if entry.is_changed]
    assert all(type(value) is bytes for value in found.values())
    assert {key: described(entry) for key, entry in given_.items()} == {
        key: described(entry) for key, entry in twins.items()
    }


@each_form
def test_what_an_entry_raises_while_it_is_encoded_is_raised(form: Form) -> None:
    broken = OpenEntry(Coverage(positions={"\ud800": 1}), b"{}")
    broken.is_changed = True
    for generation in (GENERATION, GENERATION + 1):
        with pytest.raises(orjson.JSONEncodeError):
            entries_in(form, partition_with(None)).encode({KEY: broken}, generation)
    with pytest.raises((TypeError, AttributeError)):
        entries_in(form, partition_with(None)).encode({KEY: 1}, 5)  # type: ignore[dict-item]
