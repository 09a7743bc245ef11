from connectors.page_size import FIRST_ROWS, MOST_ROWS, PAGE_BYTES, PageSize


def test_pages_of_small_events_grow_to_the_most_rows() -> None:
    pages = PageSize()
    for _ in range(5):
        assert pages.goes_on(pages.rows, pages.rows * 300)
    assert pages.rows == MOST_ROWS


def test_a_page_of_large_events_makes_the_next_one_fit() -> None:
    pages = PageSize()
    assert pages.goes_on(FIRST_ROWS, FIRST_ROWS * 1_000_000)
    assert pages.rows == PAGE_BYTES // 1_000_000
    assert pages.goes_on(pages.rows, pages.rows * 2 * PAGE_BYTES)
    assert pages.rows == 1


def test_a_page_that_is_not_full_is_the_last_one() -> None:
    assert not PageSize().goes_on(FIRST_ROWS - 1, 0)
    assert not PageSize().goes_on(0, 0)
