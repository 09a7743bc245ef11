import pytest

from gateway.errors import RoomForbidden, RoomUnknown
from gateway.rooms import check_right, is_right, is_room


@pytest.mark.parametrize("name", ["system", "project.a", "project.a.b/c", "user.alice@example.org"])
def test_these_are_rooms(name: str) -> None:
    assert is_room(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "project.",
        "project.*",
        "user.a b",
        "users.a",
        "SYSTEM",
        "system.x",
        "a",
        "user.\n",
        f"project.{'x' * 300}",
    ],
)
def test_these_are_no_rooms_even_for_one_who_may_everything(name: str) -> None:
    with pytest.raises(RoomUnknown):
        check_right(name, ["system", "project.*", "user.*", name])


@pytest.mark.parametrize(
    ("room", "rights"),
    [
        ("system", ["system"]),
        ("project.a", ["project.a"]),
        ("project.a", ["project.*"]),
        ("user.alice", ["system", "user.alice"]),
    ],
)
def test_a_right_opens_its_room(room: str, rights: list[str]) -> None:
    check_right(room, rights)


@pytest.mark.parametrize(
    ("room", "rights"),
    [
        ("system", []),
        ("system", ["project.*", "user.*", "system.*", "*"]),
        ("project.a", ["project.ab", "user.*", "project"]),
        ("user.bob", ["user.alice", "project.*"]),
    ],
)
def test_no_other_room_is_opened(room: str, rights: list[str]) -> None:
    with pytest.raises(RoomForbidden):
        check_right(room, rights)


def test_rights_are_rooms_and_two_wildcards() -> None:
    assert is_right("project.*")
    assert is_right("user.*")
    assert not is_right("*")
    assert not is_right("system.*")
