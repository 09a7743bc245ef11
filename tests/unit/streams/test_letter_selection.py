"""Letters are chosen by name or by what they have in common, and counted in groups."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.parking.errors import LetterIsBehind, LetterNotFound
from streams.parking.letter import LetterState
from streams.parking.letters import Backlog
from streams.parking.selection import (
    UNNAMED,
    Filters,
    Group,
    Grouping,
    failed_ones,
    grouped,
    named,
    parked,
)
from tests.unit.streams.failed_letters import NOW, letter, record

WAITING, BEHIND = LetterState.WAITING, LetterState.BEHIND
LETTERS = [
    letter(1),
    letter(2, BEHIND),
    letter(3, handler="count", reason="KeyError"),
    letter(4, WAITING, record=record(4, key="Order/o4", event_type="order.paid")),
    letter(5, app="shop", record=record(5, key="Order/o5")),
]


@pytest.mark.parametrize(
    ("filters", "offsets"),
    [
        ({}, [1, 3, 5]),
        ({"app": "team"}, [1, 3]),
        ({"error": "KeyError"}, [3]),
        ({"event_type": "order.*"}, [1, 3, 5]),
        ({"event_type": "order.paid"}, []),
        ({"handler": "notify"}, [1, 5]),
        ({"handler": "shop.main/notify"}, [5]),
        ({"handler": "notify", "app": "team", "error": "ValueError"}, [1]),
    ],
)
def test_parked_letters_pass_the_filters(filters: dict[str, Any], offsets: list[int]) -> None:
    chosen = parked(LETTERS, Filters(**filters))
    assert [it.record.offset for it in chosen] == offsets
    assert Filters(**filters).is_empty == (not filters)


def test_letters_are_named_by_their_own_id_or_by_that_of_their_event() -> None:
    assert named(LETTERS, [LETTERS[0].id, "event-4"]) == [LETTERS[0], LETTERS[3]]


def test_every_name_that_is_nobodys_is_said() -> None:
    with pytest.raises(LetterNotFound) as refused:
        named(LETTERS, ["x", LETTERS[0].id, "y", "x"])
    assert refused.value.names == ("x", "y")


def test_one_that_waits_behind_another_is_refused_with_what_it_waits_for() -> None:
    with pytest.raises(LetterIsBehind, match=LETTERS[0].id):
        failed_ones([LETTERS[1]], Backlog(LETTERS))


def test_an_event_that_only_one_handler_could_not_do_means_that_handlers_letter() -> None:
    behind = letter(3, BEHIND)
    assert failed_ones([LETTERS[2], behind], Backlog([*LETTERS, behind])) == [LETTERS[2]]


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (Grouping.ERROR, ["ValueError", "KeyError"]),
        (Grouping.TYPE, ["order.placed", "order.paid"]),
        (Grouping.HANDLER, ["team.main/notify", "shop.main/notify", "team.main/count"]),
    ],
)
def test_groups_are_named_by_what_they_have_in_common_the_largest_first(
    by: Grouping, names: list[str]
) -> None:
    assert [group.name for group in grouped(Backlog(LETTERS), by)] == names


def test_a_group_counts_heads_and_what_waits_behind_them() -> None:
    (first, *_) = grouped(Backlog(LETTERS), Grouping.HANDLER)
    since = NOW + timedelta(seconds=1)
    assert first == Group(name="team.main/notify", parked=1, waiting=1, behind=1, since=since)


def test_a_record_without_a_type_is_in_a_group_of_its_own() -> None:
    nameless = letter(1, record=record(1)._replace(headers=()))
    assert [it.name for it in grouped(Backlog([nameless]), Grouping.TYPE)] == [UNNAMED]
    assert parked([nameless], Filters(event_type="order.*")) == []
