"""Orders about parked events, as `wundr.control` carries them: redrive, drop, edit.

The key is `parking/<app>/<letter id>`: the last order about a letter is the one that counts. The
worker that owns the letter carries it out, and then ends it with a record without a value; an order
that nobody can carry out yet waits in the compacted topic.
"""

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

import orjson

from schemas.topics import CONTROL_TOPIC
from streams.errors import NotAnOrder
from streams.records import OutgoingRecord

PREFIX: Final = "parking/"


class OrderKind(StrEnum):
    """What is to be done with the head of a sequence."""

    REDRIVE = "redrive"
    """Try it again, and then all that wait behind it."""

    DROP = "drop"
    """It counts as done; what waits behind it goes on."""

    EDIT = "edit"
    """Try it again with other bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order about one letter. `value` are the new bytes of an edit."""

    app: str
    letter_id: str
    kind: OrderKind
    value: bytes | None = None

    @property
    def key(self) -> str:
        """Of its record."""
        return f"{order_prefix(self.app)}{self.letter_id}"

    def encode(self) -> OutgoingRecord:
        """The record that carries it."""
        body: dict[str, str] = {"order": self.kind.value}
        if self.value is not None:
            body["value"] = base64.b64encode(self.value).decode()
        return OutgoingRecord(CONTROL_TOPIC, self.key.encode(), orjson.dumps(body))

    def ended(self) -> OutgoingRecord:
        """The record that says that it was carried out."""
        return OutgoingRecord(CONTROL_TOPIC, self.key.encode(), None)

    @classmethod
    def decode(cls, key: str, value: bytes) -> Self:
        """Read a record. Raises NotAnOrder."""
        try:
            _, app, letter_id = key.split("/", 2)
            body = orjson.loads(value)
            kind = OrderKind(body["order"])
            content = body.get("value")
            if (kind is OrderKind.EDIT) != isinstance(content, str):
                raise ValueError("an edit, and nothing else, has a value")  # noqa: TRY301  # one handler
            new = None if content is None else base64.b64decode(content, validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise NotAnOrder(f"{key!r} in {CONTROL_TOPIC} is no order: {error}") from error
        return cls(app=app, letter_id=letter_id, kind=kind, value=new)


def order_prefix(app: str) -> str:
    """How the keys of all orders for an app begin."""
    return f"{PREFIX}{app}/"
