from gateway.client import RecentIds


def test_an_id_is_new_once_and_the_oldest_are_forgotten() -> None:
    ids = RecentIds(limit=2)
    assert [ids.add("a"), ids.add("a"), ids.add("b"), ids.add("c")] == [True, False, True, True]
    assert ids.add("a")
