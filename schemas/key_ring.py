"""Where the keys of people are: one for each subject, until the subject is forgotten."""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from schemas.errors import SubjectForgotten

KEY_BYTES: Final = 32
"""Length of a key: AES-256."""

_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKey:
    """The key of one subject. `id` says nothing about the subject; `secret` never prints."""

    id: str
    subject: str
    secret: bytes = field(repr=False)


class KeyRing(Protocol):
    """Makes, finds and deletes keys.

    Calls are synchronous, because `Event.data` is: behind a cache, nearly all are answered from
    memory. One that cannot be answered raises an error that is retryable.
    """

    def key_for(self, subject: str) -> SubjectKey:
        """The key of a subject, made with its first use. Raises SubjectForgotten."""
        ...

    def key(self, key_id: str) -> SubjectKey | None:
        """The key with this id; None when it was deleted, or never was here."""
        ...

    def forget(self, subject: str) -> datetime:
        """Delete the subject's key and never make another; when that was done first, UTC.

        Also for a subject that has no key: an event that comes late must not make one.
        """
        ...


class MemoryKeyRing:
    """Keys of one process, for tests and lessons: they are lost with it."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._by_subject: dict[str, SubjectKey] = {}
        self._by_id: dict[str, SubjectKey] = {}
        self._forgotten: dict[str, datetime] = {}

    def key_for(self, subject: str) -> SubjectKey:
        """See KeyRing."""
        if subject in self._forgotten:
            raise SubjectForgotten
        known = self._by_subject.get(subject)
        if known is None:
            known = self._by_subject[subject] = new_key(subject)
            self._by_id[known.id] = known
        return known

    def key(self, key_id: str) -> SubjectKey | None:
        """See KeyRing."""
        return self._by_id.get(key_id)

    def forget(self, subject: str) -> datetime:
        """See KeyRing."""
        known = self._by_subject.pop(subject, None)
        if known is not None:
            del self._by_id[known.id]
        return self._forgotten.setdefault(subject, self._clock())


def new_key(subject: str) -> SubjectKey:
    """A key from the system's random source."""
    key_id = urlsafe_b64encode(secrets.token_bytes(_ID_BYTES)).rstrip(b"=").decode()
    return SubjectKey(id=key_id, subject=subject, secret=secrets.token_bytes(KEY_BYTES))
