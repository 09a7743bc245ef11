"""Both stores keep what they promise; the one on disk through restarts and damage."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.errors import StoreCorrupt, StoreInUse
from streams.projecting import TableBatch
from streams.runtime.stores.opening import open_store
from streams.table import Table
from streams.table_store import EntryStore, TableStore
from tests.unit.streams.tabling import COLLECTED, PARTITION, event, ids_in, record

Open = Callable[[], EntryStore]


@pytest.fixture(params=list(TableStore))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EntryStore]:
    """An empty store of each kind."""
    opened = open_store(request.param, tmp_path / "store", "log")
    yield opened
    opened.close()


def on_disk(folder: Path, log_id: str = "log") -> EntryStore:
    return open_store(TableStore.ROCKSDB, folder, log_id)


def test_a_new_store_is_empty(store: EntryStore) -> None:
    assert (store.get(0, b"k"), store.next_offset(0), list(store.items(0))) == (None, 0, [])


def test_what_is_written_is_there_with_its_offset(store: EntryStore) -> None:
    store.write(0, {b"a": b"1", b"b": b"2"}, 7)
    store.write(0, {b"a": b"3"})
    assert (store.get(0, b"a"), store.get(0, b"b"), store.next_offset(0)) == (b"3", b"2", 7)
    assert dict(store.items(0)) == {b"a": b"3", b"b": b"2"}


def test_entries_may_be_written_while_all_are_read(store: EntryStore) -> None:
    store.write(0, {b"a": b"1", b"b": b"2"})
    found = []
    for key, _ in store.items(0):
        store.write(0, {b"c" + key: b"3"})
        found.append(key)
    assert sorted(found) == [b"a", b"b"]


def test_a_deleted_partition_is_gone_with_its_offset_and_others_stay(store: EntryStore) -> None:
    for partition in range(3):
        store.write(partition, {b"": b"none", b"\xff\xff": b"last"}, partition + 5)
    store.delete(1)
    assert [store.next_offset(partition) for partition in range(3)] == [5, 0, 7]
    assert [len(list(store.items(partition))) for partition in range(3)] == [2, 0, 2]


def test_a_reader_of_a_partition_sees_what_was_written_and_deleted_since(store: EntryStore) -> None:
    store.write(0, {b"a": b"1"})
    read, other = store.reading(0), store.reading(1)
    store.write(0, {b"b": b"2"})
    assert (read(b"a"), read(b"b"), read(b"c"), other(b"a")) == (b"1", b"2", None, None)
    store.delete(0)
    assert (read(b"a"), read(b"b")) == (None, None)
    store.write(0, {b"a": b"3"})
    store.write(1, {b"a": b"4"})
    assert (read(b"a"), other(b"a")) == (b"3", b"4")
    store.release(1)
    store.write(1, {b"b": b"5"})
    assert other(b"b") == b"5"


keys = st.binary(max_size=4)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([0, 1, 255, 256]), st.dictionaries(keys, keys, max_size=4)),
        st.tuples(st.sampled_from([0, 1, 255, 256]), st.none()),
    ),
    max_size=20,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps)
def test_partitions_are_dictionaries_that_know_nothing_of_each_other(
    store: EntryStore, taken: list[tuple[int, dict[bytes, bytes] | None]]
) -> None:
    expected: dict[int, dict[bytes, bytes]] = {0: {}, 1: {}, 255: {}, 256: {}}
    for partition in expected:
        store.delete(partition)
    for partition, changes in taken:
        if changes is None:
            store.delete(partition)
            expected[partition] = {}
        else:
            store.write(partition, changes)
            expected[partition].update(changes)
    assert {partition: dict(store.items(partition)) for partition in expected} == expected


def test_the_store_on_disk_goes_on_where_it_was(tmp_path: Path) -> None:
    first = on_disk(tmp_path)
    first.write(3, {b"k": b"v"}, 42)
    first.release(3)
    first.close()
    again = on_disk(tmp_path)
    assert (again.get(3, b"k"), again.next_offset(3)) == (b"v", 42)
    again.close()


def test_a_killed_process_leaves_whole_writes(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path;"
        "from streams.runtime.stores.rocksdb import RocksEntryStore;"
        "store = RocksEntryStore(Path(sys.argv[1]), 'log');"
        "[store.write(3, {b'a': b'%d' % at, b'b': b'%d' % at}, at) for at in range(1, 101)];"
        "os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, check=False)
    assert ended.returncode == -9
    store = on_disk(tmp_path)
    assert (store.get(3, b"a"), store.get(3, b"b"), store.next_offset(3)) == (b"100", b"100", 100)
    store.close()


def test_a_table_on_disk_shows_the_same_after_a_restart_and_knows_its_repeats(
    tmp_path: Path,
) -> None:
    for _ in range(2):
        table = Table("changelog", on_disk(tmp_path))
        batch = TableBatch({"collected": table}, PARTITION)
        deliveries = [(record(0), event(0)), (record(1), event(1)), (record(2), event(0))]
        assert batch.fold_all(COLLECTED, deliveries) == []
        batch.store()
        assert ids_in(table) == {"k": [event(0).id, event(1).id]}
        table.close()


def test_another_process_cannot_open_it_too(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    with pytest.raises(StoreInUse, match=str(tmp_path)):
        on_disk(tmp_path)
    store.close()


def test_a_store_of_another_log_is_said_and_begun_anew(tmp_path: Path) -> None:
    first = on_disk(tmp_path, "one log")
    first.write(3, {b"k": b"v"}, 42)
    first.close()
    with structlog.testing.capture_logs() as logs:
        other = on_disk(tmp_path, "another log")
    assert (other.get(3, b"k"), other.next_offset(3)) == (None, 0)
    assert [(it["log_level"], it["reason"]) for it in logs] == [("error", "it follows another log")]
    other.close()


def damaged(folder: Path, pattern: str) -> None:
    """Write nonsense into the middle of these files."""
    store = on_disk(folder)
    store.write(3, {b"%06d" % number: b"v" * 100 for number in range(20_000)}, 42)
    # The write buffer goes into a file of sorted entries once it is full.
    for number in range(3):
        store.write(4, {b"%d" % number: bytes([number]) * 9_000_000})
    store.close()
    found = list(folder.glob(pattern))
    assert found
    for path in found:
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 5_000] = b"\xff" * len(content[middle : middle + 5_000])
        path.write_bytes(content)


def test_a_store_that_cannot_be_opened_is_said_and_begun_anew(tmp_path: Path) -> None:
    damaged(tmp_path, "entries/MANIFEST*")
    with structlog.testing.capture_logs() as logs:
        store = on_disk(tmp_path)
    assert store.next_offset(3) == 0
    assert [(it["log_level"], it["reason"]) for it in logs] == [("error", "it cannot be opened")]
    store.close()


def test_a_damage_that_is_found_later_is_said_and_the_next_start_begins_anew(
    tmp_path: Path,
) -> None:
    damaged(tmp_path, "entries/*.sst")
    store = on_disk(tmp_path)
    with pytest.raises(StoreCorrupt, match="checksum"):
        list(store.items(3))
    with pytest.raises(StoreCorrupt, match="checksum"):
        [store.get(3, b"%06d" % number) for number in range(20_000)]
    store.close()
    with structlog.testing.capture_logs() as logs:
        again = on_disk(tmp_path)
    assert (again.next_offset(3), list(again.items(3))) == (0, [])
    assert [it["reason"] for it in logs] == ["a part of it could not be read"]
    again.close()
    assert not (tmp_path / "corrupt").exists()


def test_a_damaged_store_makes_no_dead_letters_of_events(tmp_path: Path) -> None:
    damaged(tmp_path, "entries/*.sst")
    table = Table("changelog", on_disk(tmp_path))
    batch = TableBatch({"collected": table}, PARTITION)
    deliveries = [(record(at, b"%06d" % at), event(at)) for at in range(20_000)]
    with pytest.raises(StoreCorrupt):
        batch.fold_all(COLLECTED, deliveries)
    table.close()
