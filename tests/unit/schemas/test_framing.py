import pytest

from schemas.errors import NotAnEvent
from schemas.framing import LOCK_BIT, frame, schema_id_of


def test_framed_bytes_begin_with_zero_and_the_id() -> None:
    assert frame(0x40000102, b"body") == b"\x00\x40\x00\x01\x02body"


def test_the_id_comes_back_whatever_registry_gave_it() -> None:
    for schema_id in (1, LOCK_BIT - 1, LOCK_BIT, (1 << 31) - 1):
        assert schema_id_of(frame(schema_id, b"")) == schema_id


@pytest.mark.parametrize("value", [b"", b"\x00\x01\x02\x03", b"{}", b"\x01\x00\x00\x00\x01x"])
def test_other_bytes_are_no_event(value: bytes) -> None:
    with pytest.raises(NotAnEvent):
        schema_id_of(value)
