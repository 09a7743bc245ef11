import pytest

from gateway.cursor import CursorPosition
from gateway.errors import BadCursor, BadRequest
from gateway.requests import read_credentials, read_join, read_names
from streams.records import TopicPartition

CURSOR = {"broadcast.project/0": {"epoch": "e", "offset": 3}}


def test_join_takes_a_list_as_in_the_adr() -> None:
    request = read_join((["system", "user.x", "system"],))
    assert request.rooms == ("system", "user.x")
    assert not request.has_start


def test_join_takes_rooms_with_a_cursor_or_a_time() -> None:
    request = read_join(({"rooms": ["system"], "cursor": CURSOR},))
    assert request.cursor == {TopicPartition("broadcast.project", 0): CursorPosition("e", 3)}
    assert read_join(({"rooms": ["system"], "since": 12.5},)).since_ms == 12
    assert not read_join(({"rooms": ["system"], "cursor": None},)).has_start


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (1,),
        ({"cursor": {}},),
        ([1],),
        (["x" * 400],),
        (["x"] * 300,),
        (["a"], ["b"]),
        ({"rooms": ["a"], "since": "now"},),
        ({"rooms": ["a"], "since": True},),
    ],
)
def test_other_shapes_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(BadRequest):
        read_join(arguments)


def test_names_may_be_one_text_or_a_list() -> None:
    assert read_names(("analysis.*",)) == ("analysis.*",)
    assert read_names((["a", "b"],)) == ("a", "b")
    with pytest.raises(BadRequest):
        read_names(())


def test_credentials_are_read_from_auth_and_a_bad_cursor_is_refused() -> None:
    assert read_credentials(None).token is None
    assert read_credentials({"token": "t"}).keeps_cursor is False
    resumed = read_credentials({"token": "t", "cursor": CURSOR})
    assert resumed.keeps_cursor
    assert resumed.cursor is not None
    assert read_credentials({"token": "t", "cursor": None}).keeps_cursor
    with pytest.raises(BadCursor):
        read_credentials({"token": "t", "cursor": {"x": 1}})
