import pytest

from gateway.errors import InvalidGatewaySettings
from gateway.settings import GatewaySettings
from gateway.tokens import new_secret


def test_every_fault_is_named_at_once_and_no_secret_is_shown() -> None:
    with pytest.raises(InvalidGatewaySettings) as raised:
        GatewaySettings(
            jwt_secret="short-secret",
            host="0.0.0.0",
            port=70_000,
            origins=("https://*.example.org", "example.org"),
            development=True,
            history_records=0,
        )
    assert len(raised.value.faults) == 6
    assert "short-secret" not in str(raised.value)


def test_the_secret_is_not_in_the_repr() -> None:
    secret = new_secret()
    assert secret not in repr(GatewaySettings(jwt_secret=secret))


def test_secrets_are_fresh_and_long_enough() -> None:
    assert new_secret() != new_secret()
    GatewaySettings(jwt_secret=new_secret())
