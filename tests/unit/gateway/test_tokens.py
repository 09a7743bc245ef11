from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from gateway.errors import BadToken, NoToken, TokenExpired, UnknownRight
from gateway.settings import GatewaySettings
from gateway.tokens import mint, new_secret, verify

SETTINGS = GatewaySettings(jwt_secret=new_secret())
HOUR = timedelta(hours=1)


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    whole = {
        "aud": SETTINGS.jwt_audience,
        "iss": SETTINGS.jwt_issuer,
        "iat": now,
        "exp": now + HOUR,
        "sub": "alice",
        "rooms": ["system"],
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


def signed(**changes: Any) -> str:
    return jwt.encode(claims(**changes), SETTINGS.jwt_secret, algorithm="HS256")


def test_a_minted_token_is_verified_to_what_was_granted() -> None:
    grant = verify(SETTINGS, mint(SETTINGS, "alice", ["system", "project.*"], HOUR))
    assert grant.subject == "alice"
    assert grant.rooms == {"system", "project.*"}
    assert grant.expires_at == pytest.approx(datetime.now(UTC).timestamp() + 3600, abs=5)


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_refused(token: object) -> None:
    with pytest.raises(NoToken):
        verify(SETTINGS, token)


@pytest.mark.parametrize("token", [7, ["a"], "a.b.c", "x" * 10_000, {"token": "x"}, "é.é.é"])
def test_what_is_no_token_is_refused(token: object) -> None:
    with pytest.raises(BadToken):
        verify(SETTINGS, token)


@pytest.mark.parametrize("missing", ["aud", "iss", "exp", "iat", "sub", "rooms"])
def test_every_claim_is_required(missing: str) -> None:
    with pytest.raises(BadToken):
        verify(SETTINGS, signed(**{missing: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"iss": "another"},
        {"iss": "wund"},
        {"rooms": "system"},
        {"rooms": [1]},
        {"iat": datetime.now(UTC) + HOUR},
        {"nbf": datetime.now(UTC) + HOUR},
    ],
)
def test_wrong_claims_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        verify(SETTINGS, signed(**changes))


def test_an_expired_token_has_a_code_of_its_own() -> None:
    past = datetime.now(UTC) - 2 * HOUR
    with pytest.raises(TokenExpired):
        verify(SETTINGS, mint(SETTINGS, "alice", ["system"], HOUR, now=past))


def test_other_keys_and_algorithms_are_refused() -> None:
    other = replace(SETTINGS, jwt_secret=new_secret())
    unsigned = jwt.encode(claims(), "", algorithm="none")
    stronger = jwt.encode(claims(), SETTINGS.jwt_secret * 2, algorithm="HS512")
    for token in (mint(other, "alice", ["system"], HOUR), unsigned, stronger):
        with pytest.raises(BadToken):
            verify(SETTINGS, token)


def test_rights_that_do_not_exist_are_not_minted() -> None:
    with pytest.raises(UnknownRight, match=r"'\*'"):
        mint(SETTINGS, "alice", ["system", "*"], HOUR)
