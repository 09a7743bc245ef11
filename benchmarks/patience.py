"""Asks a broker again while it is not ready: a bounded wait that ends in a typed error."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

from benchmarks.errors import BrokerNotReady

AnswerT = TypeVar("AnswerT")

PASSING: Final = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  # the client's own codes are spelled so
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    }
)
"""What a broker answers while it has just started on data that it had before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to ask, and how often; in seconds."""

    longest_s: float = 30.0
    pause_s: float = 0.05
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def until_answered(self, what: str, ask: Callable[[], AnswerT]) -> AnswerT:
        """The first answer. Raises BrokerNotReady after `longest_s`, any lasting error at once."""
        deadline = self.clock() + self.longest_s
        while True:
            try:
                return ask()
            except KafkaException as error:
                if error.args[0].code() not in PASSING:
                    raise
                if self.clock() >= deadline:
                    raise BrokerNotReady(what, self.longest_s, str(error.args[0])) from error
            self.sleep(self.pause_s)
