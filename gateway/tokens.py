"""Tokens of browsers: HS256 with fixed audience and issuer, an expiry, and the rooms they open.

Refuses every other algorithm and any token without `aud`, `iss`, `exp`, `iat`, `sub` or `rooms`.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt

from gateway.errors import BadToken, NoToken, TokenExpired, UnknownRight
from gateway.rooms import is_right
from gateway.settings import GatewaySettings

ALGORITHM: Final = "HS256"
MAX_TOKEN_CHARACTERS: Final = 8 * 1024
_REQUIRED = ("aud", "iss", "exp", "iat", "sub", "rooms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a verified token allows. `expires_at` is in seconds since 1970."""

    subject: str
    rooms: frozenset[str]
    expires_at: float


def new_secret() -> str:
    """A fresh signing key of 256 random bits."""
    return secrets.token_urlsafe(32)


def mint(
    settings: GatewaySettings,
    subject: str,
    rooms: Sequence[str],
    ttl: timedelta,
    *,
    now: datetime | None = None,
) -> str:
    """Sign a token that opens these rooms until `ttl` from now. Raises UnknownRight."""
    unknown = [room for room in rooms if not is_right(room)]
    if unknown:
        raise UnknownRight(f"no token can open {', '.join(map(repr, unknown))}")
    issued = now or datetime.now(UTC)
    claims = {
        "aud": settings.jwt_audience,
        "iss": settings.jwt_issuer,
        "iat": issued,
        "exp": issued + ttl,
        "sub": subject,
        "rooms": list(rooms),
    }
    return jwt.encode(claims, settings.jwt_secret, algorithm=ALGORITHM)


def verify(settings: GatewaySettings, token: object) -> Grant:
    """What the token allows. Raises NoToken, TokenExpired or BadToken."""
    if token is None or token == "":
        raise NoToken
    if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARACTERS:
        raise BadToken("the token is not a signed text of bearable length")
    try:
        claims = jwt.decode(
            token,
            settings.jwt_secret,
            algorithms=[ALGORITHM],
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            options={"require": list(_REQUIRED)},
        )
    except jwt.ExpiredSignatureError as error:
        raise TokenExpired from error
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise BadToken from error
    return _grant(claims)


def _grant(claims: dict[str, Any]) -> Grant:
    rooms = claims["rooms"]
    if not isinstance(rooms, list) or not all(isinstance(room, str) for room in rooms):
        raise BadToken("the token's `rooms` claim is not a list of names")
    return Grant(
        subject=str(claims["sub"]), rooms=frozenset(rooms), expires_at=float(claims["exp"])
    )
