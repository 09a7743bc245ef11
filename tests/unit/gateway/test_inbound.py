import pytest

from gateway.errors import UnexpectedPacket
from gateway.inbound import check_frame


@pytest.mark.parametrize(
    "frame",
    [
        "1",
        "3",
        '40/ws,{"token":"x"}',
        "40/ws,",
        "41/ws,",
        '42/ws,["join",["system"]]',
        '42/ws,7["join",["system"]]',
    ],
)
def test_the_packets_of_a_browser_pass(frame: str) -> None:
    check_frame(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"\x00",
        "",
        "0",
        "2probe",
        "5",
        "6",
        "4",
        "bAAAA",
        '459999999999-/ws,["x"]',
        '461-/ws,1["x"]',
        '43/ws,1["x"]',
        '44/ws,{"message":"x"}',
        "42/ws,",
        "42/ws,[]",
        "42/ws,[1]",
        '42/ws,{"a":1}',
        "42/ws,[broken",
        "42/ws," + "[" * 30_000,
        '42/ws,["x",' + "9" * 5_000 + "]",
        '40/ws,["token"]',
        "42/ws," + "1" * 200 + '["x"]',
    ],
)
def test_everything_else_is_refused(frame: str | bytes) -> None:
    with pytest.raises(UnexpectedPacket):
        check_frame(frame)
