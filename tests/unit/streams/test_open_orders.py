"""An order is looked at until it is begun or somebody else's, and again when letters come."""

from __future__ import annotations

import pytest

from streams.parking.orders import OpenOrders, Order, OrderKind

FIRST = Order(app="team", letter_id="team.main/mail/t/0/1", kind=OrderKind.REDRIVE)
SECOND = Order(app="team", letter_id="team.main/mail/t/0/2", kind=OrderKind.REDRIVE)
LATER = Order(app="team", letter_id=FIRST.letter_id, kind=OrderKind.DROP)


@pytest.fixture
def orders() -> OpenOrders:
    """Two of them are open."""
    found = OpenOrders()
    found.add(FIRST)
    found.add(SECOND)
    return found


def test_what_was_begun_or_is_elsewhere_is_open_and_looked_at_no_more(orders: OpenOrders) -> None:
    orders.look_away(FIRST)
    orders.look_away(SECOND)
    assert orders.to_look_at() == ()
    assert orders.letter_ids == (FIRST.letter_id, SECOND.letter_id)
    orders.look_again()
    assert orders.to_look_at() == (FIRST, SECOND)


def test_a_later_order_about_a_letter_is_looked_at_though_the_one_before_was_begun(
    orders: OpenOrders,
) -> None:
    orders.add(LATER)
    orders.look_away(FIRST)
    assert LATER in orders.to_look_at()
    assert (orders.holds(FIRST), orders.holds(LATER)) == (False, True)


def test_what_was_carried_out_is_gone(orders: OpenOrders) -> None:
    orders.look_away(FIRST)
    orders.remove(FIRST.letter_id)
    orders.look_again()
    assert orders.to_look_at() == (SECOND,)
