"""A producer that does with its records what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError, OutOfOrderSequenceNumber

from streams.records import OutgoingRecord

WAIT_S = 5.0

Delivery = asyncio.Future[Any]
Behaviour = Callable[[Delivery, int], None]
"""Settles a delivery, given how many records the client was given before; or raises."""


def delivers(delivery: Delivery, before: int) -> None:
    delivery.set_result(SimpleNamespace(topic="t", partition=0, offset=before))


def keeps(delivery: Delivery, before: int) -> None:
    """Neither delivers nor fails for now."""


def fails_its_first(delivery: Delivery, before: int) -> None:
    if before == 0:
        delivery.set_exception(OutOfOrderSequenceNumber())
    else:
        delivers(delivery, before)


def refuses_its_first(delivery: Delivery, before: int) -> None:
    if before == 0:
        delivery.set_exception(MessageSizeTooLargeError())
    else:
        delivers(delivery, before)


def has_a_defect(delivery: Delivery, before: int) -> None:
    raise LookupError("a defect of the client")


class ScriptedBatch:
    """A batch that takes one record, so that each has a delivery of its own."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, value: bytes, **_: object) -> object | None:
        if self.values:
            return None
        self.values.append(value)
        return self

    def close(self) -> None:
        """It is full anyway."""


class ScriptedClient:
    """A producer that does with its records what a test says."""

    client = None

    def __init__(self, behaviour: Behaviour) -> None:
        self.given: list[bytes] = []
        self.deliveries: list[Delivery] = []
        self._behaviour = behaviour

    def create_batch(self) -> ScriptedBatch:
        return ScriptedBatch()

    async def send_batch(self, batch: ScriptedBatch, topic: str, *, partition: int) -> Delivery:
        delivery: Delivery = asyncio.get_running_loop().create_future()
        self._behaviour(delivery, len(self.given))
        self.given += batch.values
        self.deliveries.append(delivery)
        # The client's own task runs between two records: a failure is known before the next one.
        await asyncio.sleep(0)
        return delivery

    async def stop(self) -> None:
        """Nothing is open."""


def record(number: int) -> OutgoingRecord:
    headers = (("ce_id", f"e{number}".encode()),)
    return OutgoingRecord(topic="t", key=b"k", value=str(number).encode(), headers=headers)


async def until_given(client: ScriptedClient) -> None:
    """Wait until the client has its first record."""
    async with asyncio.timeout(WAIT_S):
        while not client.deliveries:  # noqa: ASYNC110  # a fake has no event to wait for
            await asyncio.sleep(0)
