from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.spill import BUFFERED, KEYS_IN_BUCKET, MOST_BUCKETS, Spill

rows = st.lists(st.tuples(st.text(), st.none() | st.integers(0, 2**62) | st.booleans()))


@given(rows)
def test_every_row_comes_back_once_with_all_of_its_key(given_rows: list[tuple[str, Any]]) -> None:
    with Spill(keys=5 * KEYS_IN_BUCKET) as spill:
        for row in given_rows:
            spill.put(row[0], row)
        buckets = [[tuple(row) for row in spill.rows(at)] for at in range(spill.buckets)]
    assert sorted(repr(row) for bucket in buckets for row in bucket) == sorted(
        map(repr, given_rows)
    )
    for key, _ in given_rows:
        assert sum(any(row[0] == key for row in bucket) for bucket in buckets) == 1


def test_rows_beyond_the_buffer_wait_on_disk_in_their_order() -> None:
    with Spill(keys=1) as spill:
        for number in range(BUFFERED + 5):
            spill.put("k", ("k", number))
        assert [row[1] for row in spill.rows(0)] == list(range(BUFFERED + 5))


def test_the_files_are_gone_behind_the_block() -> None:
    with Spill(keys=1) as spill:
        spill.put("k", ("k",))
        assert list(spill.rows(0)) == [["k"]]
        folder = Path(str(spill._directory and spill._directory.name))
        assert list(folder.iterdir())
    assert not folder.exists()


@pytest.mark.parametrize(("keys", "buckets"), [(0, 1), (10**6, 100), (10**12, MOST_BUCKETS)])
def test_there_are_as_many_buckets_as_the_keys_ask_for(keys: int, buckets: int) -> None:
    assert Spill(keys).buckets == buckets
