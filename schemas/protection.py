"""The personal fields of one schema: sealed before an event is encoded, opened when it is read.

A step of its own, on the values of a payload: what encodes and decodes Avro knows nothing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from schemas.composition import WriterSchema
from schemas.errors import InvalidEventData, InvalidWriterSchema, KeysMissing, SealBroken
from schemas.key_ring import KeyRing
from schemas.sealing import Place, is_sealed, parse, seal, unseal

ERASED: Final = "[erased]"
"""Shown in place of a personal text whose key was deleted: nobody can read it any more."""

PROTECTED: Final = "[protected]"
"""Shown in place of a personal text by a process that has no keys."""

LONGEST_SUBJECT_BYTES: Final = 500

PERSONAL: Final = "personal"
SUBJECT: Final = "subject"


def is_placeholder(value: object) -> bool:
    """Whether a personal value is not there to be read: erased, or protected from this process."""
    return value in (ERASED, PROTECTED, ERASED.encode(), PROTECTED.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalFields:
    """Which fields of a schema are personal, and which field names whom they are about."""

    event_type: str
    names: tuple[str, ...]
    subject: str

    @classmethod
    def of(cls, schema: WriterSchema) -> Self | None:
        """What a composed schema says; None when nothing in it is sealed.

        Raises InvalidWriterSchema.
        """
        record = schema.record()
        names, subject = record.get(PERSONAL), record.get(SUBJECT)
        if names is None and subject is None:
            return None
        if not (
            isinstance(names, list)
            and all(isinstance(name, str) for name in names)
            and isinstance(subject, str)
        ):
            raise InvalidWriterSchema(f"{schema.type} {schema.version}: who is personal data of?")
        return cls(event_type=schema.type, names=tuple(names), subject=subject)


class Protection:
    """Seals and opens the personal fields of one schema. Without keys it can do neither."""

    def __init__(
        self,
        fields: PersonalFields,
        keys: KeyRing | None,
    ) -> None:
        self._fields = fields
        self._keys = keys
        self._places = {name: Place(fields.event_type, name) for name in fields.names}

    def sealed(self, payload: Mapping[str, Any], event_id: str) -> Mapping[str, Any]:
        """The payload of an event with its personal values under the key of its subject.

        What is of another type than a schema allows is left for its check to name. An erased value
        stays what it is. Raises KeysMissing, SubjectForgotten, or InvalidEventData.
        """
        plain = {
            name: payload[name]
            for name in self._fields.names
            if isinstance(payload.get(name), str | bytes) and not _is_erased(payload[name])
        }
        if not plain:
            return payload
        if self._keys is None or any(is_placeholder(value) for value in plain.values()):
            raise KeysMissing(self._fields.event_type)
        key = self._keys.key_for(self._subject_of(payload))
        sealed = dict(payload)
        for name, value in plain.items():
            try:
                sealed[name] = seal(value, self._places[name], key, event_id)
            except UnicodeEncodeError as error:
                problem = f"is no text that UTF-8 can hold ({error.reason})"
                raise InvalidEventData(f"data.{name}", problem) from None
        return sealed

    def opened(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """The payload with its personal values, or with placeholders for them.

        A value that was never sealed is given as it is. Raises SealBroken for one that was
        changed, or that belongs to somebody or something else.
        """
        sealed = [name for name in self._fields.names if is_sealed(payload.get(name))]
        if not sealed:
            return payload
        opened = dict(payload)
        owners = {self._open(name, opened) for name in sealed} - {None}
        # An older reader may not know the field that names the subject: all have one owner still.
        named = {opened[self._fields.subject]} if self._fields.subject in opened else set()
        if owners and len(owners | named) > 1:
            raise SealBroken(self._fields.event_type, self._fields.subject)
        return opened

    def _open(self, name: str, opened: dict[str, Any]) -> str | None:
        """Open one value in place; whose it is, None when nobody can say."""
        value, place = opened[name], self._places[name]
        sealed = parse(value, place)
        if self._keys is None:
            opened[name] = _like(value, PROTECTED)
            return None
        key = self._keys.key(sealed.key_id)
        if key is None:
            opened[name] = _like(value, ERASED)
            return None
        opened[name] = unseal(value, place, key)
        return key.subject

    def _subject_of(self, payload: Mapping[str, Any]) -> str:
        path = f"data.{self._fields.subject}"
        subject = payload.get(self._fields.subject)
        if not isinstance(subject, str) or not subject:
            raise InvalidEventData(path, "does not say whose the personal data are")
        if is_placeholder(subject):
            raise InvalidEventData(path, "stands for a subject that cannot be read")
        return checked_subject(subject, path)


def checked_subject(subject: str, path: str) -> str:
    """The subject, when a database of keys can hold it. Raises InvalidEventData."""
    try:
        size = len(subject.encode())
    except UnicodeEncodeError:
        raise InvalidEventData(path, "is no text that UTF-8 can hold") from None
    if not subject or "\x00" in subject:
        raise InvalidEventData(path, "is empty or holds a NUL character")
    if size > LONGEST_SUBJECT_BYTES:
        raise InvalidEventData(path, f"has {size} bytes, {LONGEST_SUBJECT_BYTES} are taken")
    return subject


def _is_erased(value: str | bytes) -> bool:
    return value in (ERASED, ERASED.encode())


def _like(value: str | bytes, placeholder: str) -> str | bytes:
    return placeholder if isinstance(value, str) else placeholder.encode()
