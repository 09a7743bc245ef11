from connectors.page import PAGE_BYTES, PAGE_ROWS, is_last


def test_a_page_that_no_bound_has_ended_is_the_last_one() -> None:
    assert is_last(0, 0)
    assert is_last(PAGE_ROWS - 1, PAGE_BYTES - 1)
    assert not is_last(PAGE_ROWS, 0)
    assert not is_last(1, PAGE_BYTES)
