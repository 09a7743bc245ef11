"""Orders about parked events, as `wundr.control` carries them: redrive, drop, edit.

The key is `parking/<app>/<letter id>`: the last order about a letter is the one that counts. The
worker that owns the letter carries it out, and then takes it back; an order that nobody can carry
out yet waits in the compacted topic.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, Self

import structlog

from streams.control import order_record
from streams.errors import NotAnOrder
from streams.parking.letter import source_of
from streams.records import OutgoingRecord

PREFIX: Final = "parking/"

log = structlog.get_logger(__name__)


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
        """The record that gives it."""
        body: dict[str, str] = {"order": self.kind.value}
        if self.value is not None:
            body["value"] = base64.b64encode(self.value).decode()
        return order_record(self.key, body)

    def ended(self) -> OutgoingRecord:
        """The record that takes it back, carried out."""
        return order_record(self.key, None)

    @classmethod
    def decode(cls, key: str, body: Mapping[str, Any]) -> Self:
        """Read an order of the control topic. Raises NotAnOrder."""
        try:
            _, app, letter_id = key.split("/", 2)
            kind = OrderKind(body["order"])
            content = body.get("value")
            if (kind is OrderKind.EDIT) != isinstance(content, str):
                raise ValueError("an edit, and nothing else, has a value")  # noqa: TRY301  # as others
            value = None if content is None else base64.b64decode(content, validate=True)
            source_of(letter_id)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise NotAnOrder(f"{key!r} is no order about a letter: {error}") from error
        return cls(app=app, letter_id=letter_id, kind=kind, value=value)


class OpenOrders:
    """What is ordered and not ended, by the ids of letters; the last order about each counts.

    Each is looked at until somebody carries it out, here or elsewhere: it costs nothing meanwhile.
    """

    def __init__(self) -> None:
        self._open: dict[str, Order] = {}
        self._looked_at: dict[str, Order] = {}

    @property
    def letter_ids(self) -> Sequence[str]:
        """The letters that something is ordered about."""
        return tuple(self._open)

    def add(self, order: Order) -> None:
        """It was given; one before it about the same letter counts no more."""
        self._open[order.letter_id] = self._looked_at[order.letter_id] = order

    def remove(self, letter_id: str) -> None:
        """It was carried out, or is no longer wanted."""
        self._open.pop(letter_id, None)
        self._looked_at.pop(letter_id, None)

    def holds(self, order: Order) -> bool:
        """Whether it is open: another one about the same letter, given later, is not this one."""
        return self._open.get(order.letter_id) is order

    def to_look_at(self) -> Sequence[Order]:
        """Those that nobody carries out yet, as far as is known here."""
        return tuple(self._looked_at.values())

    def look_away(self, order: Order) -> None:
        """It is being carried out, or its letter is not ours, until `look_again`."""
        if self._looked_at.get(order.letter_id) is order:
            del self._looked_at[order.letter_id]

    def look_again(self) -> None:
        """Letters have come to us, or what was being carried out was forgotten."""
        self._looked_at = dict(self._open)


class TakesOrders(Protocol):
    """A parking lot."""

    def order(self, order: Order) -> None:
        """An order was given."""
        ...

    def order_taken_back(self, letter_id: str) -> None:
        """An order holds no more."""
        ...


def order_prefix(app: str) -> str:
    """How the keys of all orders for an app begin."""
    return f"{PREFIX}{app}/"


def take_order(lot: TakesOrders, key: str, body: Mapping[str, Any] | None) -> None:
    """Hand an order on; one that cannot be read is left alone, and said."""
    if body is None:
        lot.order_taken_back(key.split("/", 2)[-1])
        return
    try:
        order = Order.decode(key, body)
    except NotAnOrder as error:
        log.warning("left alone", error=str(error))
        return
    lot.order(order)
