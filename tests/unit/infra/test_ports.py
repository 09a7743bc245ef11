"""Ports are kept while free, replaced when taken, refused only when asked for."""

from __future__ import annotations

import pytest

from infra.errors import PortTaken
from infra.stack.ports import PortChoice, choose_port

FREE = 50_001


def choice(
    *, configured: int | None = None, remembered: int | None = None, taken: int = 0
) -> PortChoice:
    return choose_port(
        setting="WUNDR_KAFKA_PORT",
        configured=configured,
        remembered=remembered,
        is_free=lambda port: port != taken,
        any_free=lambda: FREE,
    )


def test_without_memory_any_free_port_is_chosen() -> None:
    assert choice() == PortChoice(port=FREE)


def test_a_remembered_port_is_kept_while_it_is_free() -> None:
    assert choice(remembered=9092) == PortChoice(port=9092)


def test_a_remembered_port_that_was_taken_is_replaced_and_named() -> None:
    assert choice(remembered=9092, taken=9092) == PortChoice(port=FREE, instead_of=9092)


def test_a_configured_port_wins_over_the_remembered_one() -> None:
    assert choice(configured=9999, remembered=9092) == PortChoice(port=9999)


def test_a_configured_port_that_is_taken_is_refused_by_name() -> None:
    with pytest.raises(PortTaken, match=r"Port 9999 \(WUNDR_KAFKA_PORT\)"):
        choice(configured=9999, taken=9999)
