"""Which open orders can be carried out now, by what is to be done."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from streams.parking.letter import source_of
from streams.parking.lot import BATCH_ENTRIES, ParkingLot
from streams.parking.orders import Order, OrderKind
from streams.parking.sequences import Sequence
from streams.records import TopicPartition

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class SortedOrders:
    """Orders with the sequences whose heads they are about.

    `late`: about what is no head, or no more. `has_waiting`: some can be carried out later.
    """

    redriven: list[tuple[Order, Sequence]] = field(default_factory=list)
    edited: list[tuple[Order, Sequence]] = field(default_factory=list)
    dropped: list[tuple[Order, Sequence]] = field(default_factory=list)
    late: list[Order] = field(default_factory=list)
    has_waiting: bool = False

    @property
    def is_full(self) -> bool:
        """Whether no more can be written down together."""
        return len(self.edited) + len(self.dropped) >= BATCH_ENTRIES

    def add(self, order: Order, sequence: Sequence) -> None:
        """One that is to be carried out now; later where there are many that are written down."""
        if order.kind is OrderKind.REDRIVE:
            self.redriven.append((order, sequence))
        elif self.is_full:
            self.has_waiting = True
        elif order.kind is OrderKind.EDIT:
            self.edited.append((order, sequence))
        else:
            self.dropped.append((order, sequence))


def sorted_orders(lot: ParkingLot) -> SortedOrders:
    """The orders of a lot that nobody has begun; those that are not ours are looked at no more."""
    found = SortedOrders()
    heads: dict[TopicPartition, Mapping[str, Sequence]] = {}
    for order in lot.orders.to_look_at():
        topic, partition, _ = source_of(order.letter_id)
        line = lot.find_line(TopicPartition(topic, partition))
        if line is None:
            lot.orders.look_away(order)
            continue
        if line.source not in heads:
            heads[line.source] = line.heads()
        sequence = heads[line.source].get(order.letter_id)
        if sequence is None:
            log.info("an order came too late, or not for a head", letter=order.letter_id)
            found.late.append(order)
        elif sequence.is_in_work or not _may_be_carried_out(lot, order, sequence):
            found.has_waiting = True
        elif sequence.order is order:
            lot.orders.look_away(order)
        else:
            found.add(order, sequence)
    return found


def _may_be_carried_out(lot: ParkingLot, order: Order, sequence: Sequence) -> bool:
    """What is dropped must not be read again: then it would be handled after all."""
    committed = lot.committed(sequence.source)
    offset = sequence.head.letter.record.offset
    is_read_no_more = committed is not None and offset < committed
    return sequence.head.is_sent and (order.kind is not OrderKind.DROP or is_read_no_more)
