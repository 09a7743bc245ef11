import pytest

from gateway.cursor import CursorPosition, cursor_from_wire, cursor_to_wire
from gateway.errors import BadCursor
from streams.records import TopicPartition


def test_a_cursor_goes_to_the_client_and_comes_back_the_same() -> None:
    source = TopicPartition("broadcast.project", 2)
    wire = cursor_to_wire({source: 41}, {"broadcast.project": "e1"})
    assert wire == {"broadcast.project/2": {"epoch": "e1", "offset": 41}}
    assert cursor_from_wire(wire) == {source: CursorPosition("e1", 41)}


@pytest.mark.parametrize(
    "wire",
    [
        "text",
        [1],
        {"no-partition": {"epoch": "e", "offset": 1}},
        {"topic/x": {"epoch": "e", "offset": 1}},
        {"topic/-1": {"epoch": "e", "offset": 1}},
        {"topic/²": {"epoch": "e", "offset": 1}},
        {"topic/1": {"epoch": "e", "offset": -1}},
        {"topic/1": {"epoch": "e", "offset": True}},
        {"topic/1": {"epoch": "e", "offset": "1"}},
        {"topic/1": {"epoch": 7, "offset": 1}},
        {"topic/1": 5},
        {f"topic/{n}": {"epoch": "e", "offset": 1} for n in range(5_000)},
    ],
)
def test_anything_else_is_refused(wire: object) -> None:
    with pytest.raises(BadCursor):
        cursor_from_wire(wire)
