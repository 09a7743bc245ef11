import pytest

from gateway.origins import host_allowed, origin_allowed

HOST = "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("origin", "origins"),
    [
        (None, ()),
        ("http://127.0.0.1:8080", ()),
        ("http://localhost:3000", ()),
        ("http://[::1]:3000", ()),
        ("https://app.example.org", ("https://app.example.org",)),
        ("http://127.0.0.1:8080", ("https://app.example.org",)),
    ],
)
def test_these_origins_may_connect(origin: str | None, origins: tuple[str, ...]) -> None:
    assert origin_allowed(origin, HOST, origins)


@pytest.mark.parametrize(
    ("origin", "origins"),
    [
        ("https://evil.example", ()),
        ("http://localhost.evil.example", ()),
        ("null", ()),
        ("file://", ()),
        ("http://[broken", ()),
        ("http://localhost:3000", ("https://app.example.org",)),
        ("https://app.example.org.evil.example", ("https://app.example.org",)),
        ("http://app.example.org", ("https://app.example.org",)),
    ],
)
def test_these_origins_may_not(origin: str, origins: tuple[str, ...]) -> None:
    assert not origin_allowed(origin, HOST, origins)


def test_a_foreign_host_name_is_refused_though_origin_and_host_agree() -> None:
    assert not host_allowed("evil.example:8080", "127.0.0.1", ())
    assert not host_allowed("", "127.0.0.1", ())
    assert host_allowed("localhost:8080", "127.0.0.1", ())
    assert host_allowed("[::1]:8080", "127.0.0.1", ())
    assert host_allowed("events.example.org", "0.0.0.0", ("https://events.example.org",))
