"""One personal value under lock: AES-256-GCM, as a short text that says how it was made.

`wundr.1.<key id>.<nonce and ciphertext>`: in a string the last part is base64, in bytes it is raw.
What a value belongs to (event type, field, subject) is authenticated with it: moved to another
place, it does not open. Pure: the nonce follows from the event and the value, so that an event that
is emitted again by the same work has the same bytes, as every reader that drops repeats expects.
"""

import hmac
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from typing import Final, NamedTuple, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.errors import SealBroken
from schemas.key_ring import SubjectKey

NONCE_BYTES: Final = 12

_TEXT_MARK: Final = "wundr.1."
_BYTES_MARK: Final = b"wundr.1."
_TAG_BYTES: Final = 16
_PARTS: Final = 4

PersonalT = TypeVar("PersonalT", str, bytes)


class Sealed(NamedTuple):
    """The parts of a sealed value."""

    key_id: str
    nonce: bytes
    ciphertext: bytes


class Place(NamedTuple):
    """What a value belongs to."""

    event_type: str
    field: str

    def bound_to(self, subject: str) -> bytes:
        """What is authenticated: no name of a type or a field holds a NUL, so it is unambiguous."""
        return f"{_TEXT_MARK}\x00{self.event_type}\x00{self.field}\x00{subject}".encode()


def is_sealed(value: object) -> bool:
    """Whether this is meant to be a sealed value; opening it may still fail."""
    if isinstance(value, str):
        return value.startswith(_TEXT_MARK)
    return isinstance(value, bytes) and value.startswith(_BYTES_MARK)


def seal(value: PersonalT, place: Place, key: SubjectKey, event_id: str) -> PersonalT:
    """The value of an event under the key. Raises UnicodeEncodeError for half a surrogate pair."""
    bound = place.bound_to(key.subject)
    lock = AESGCM(key.secret)
    if isinstance(value, str):
        nonce = _nonce(value.encode(), place, key, event_id)
        locked = nonce + lock.encrypt(nonce, value.encode(), bound)
        return f"{_TEXT_MARK}{key.id}.{urlsafe_b64encode(locked).decode()}"
    nonce = _nonce(value, place, key, event_id)
    return _BYTES_MARK + key.id.encode() + b"." + nonce + lock.encrypt(nonce, value, bound)


def _nonce(plain: bytes, place: Place, key: SubjectKey, event_id: str) -> bytes:
    """One for each value in each event, by a secret of its own that is made of the key.

    Two values would have to collide in 96 bits to share one, as with nonces by chance.
    """
    secret = hmac.digest(key.secret, b"wundr.1 nonce", "sha256")
    where = f"{place.event_type}\x00{place.field}\x00{len(event_id)}\x00{event_id}"
    return hmac.digest(secret, where.encode(errors="surrogatepass") + plain, "sha256")[:NONCE_BYTES]


def parse(value: str | bytes, place: Place) -> Sealed:
    """The parts of a sealed value. Raises SealBroken."""
    try:
        if isinstance(value, str):
            parts = value.split(".", _PARTS - 1)
            key_id, locked = parts[2], b64decode(parts[3], altchars=b"-_", validate=True)
        else:
            raw = value.split(b".", _PARTS - 1)
            key_id, locked = raw[2].decode(), raw[3]
    except (IndexError, UnicodeError, NoBase64, ValueError) as error:
        raise SealBroken(place.event_type, place.field) from error
    if len(locked) < NONCE_BYTES + _TAG_BYTES:
        raise SealBroken(place.event_type, place.field)
    return Sealed(key_id, locked[:NONCE_BYTES], locked[NONCE_BYTES:])


def unseal(value: PersonalT, place: Place, key: SubjectKey) -> PersonalT:
    """What was sealed. Raises SealBroken for anything that was not sealed so, for this place."""
    sealed = parse(value, place)
    try:
        plain = AESGCM(key.secret).decrypt(
            sealed.nonce, sealed.ciphertext, place.bound_to(key.subject)
        )
        if isinstance(value, str):
            return plain.decode()
    except (InvalidTag, UnicodeDecodeError) as error:
        raise SealBroken(place.event_type, place.field) from error
    return plain
