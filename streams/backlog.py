"""How far behind the work on a partition is, in records and in time. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from streams.records import TopicPartition


class Backlog(NamedTuple):
    """Records of one partition that are in memory and whose work is not done.

    `oldest_ms`: when the oldest of them was written, in milliseconds since 1970; None without any.
    """

    unfinished: int = 0
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far behind one topic is: the sum of its partitions, and the age of the oldest record.

    `seconds` is None when there are records behind, and none of them has been fetched yet.
    """

    records: int
    seconds: float | None


def lag_by_topic(
    ends: Mapping[TopicPartition, int],
    positions: Mapping[TopicPartition, int],
    backlogs: Mapping[TopicPartition, Backlog],
    now_ms: float,
) -> Mapping[str, Lag]:
    """The lag of each topic that is read.

    `positions`: the next offset to be fetched; `ends`: the offset that the next record will get, as
    far as it is known.
    """
    lags: dict[str, Lag] = {}
    for source, position in positions.items():
        held = backlogs.get(source, Backlog())
        records = max(0, ends.get(source, position) - position) + held.unfinished
        seconds = 0.0 if records == 0 else _age(held, now_ms)
        known = lags.get(source.topic)
        lags[source.topic] = Lag(
            records=records + (known.records if known else 0),
            seconds=_older(seconds, known.seconds) if known else seconds,
        )
    return lags


def _age(held: Backlog, now_ms: float) -> float | None:
    return None if held.oldest_ms is None else max(0.0, now_ms - held.oldest_ms) / 1_000


def _older(one: float | None, other: float | None) -> float | None:
    """The greater one of two ages: 0 beside one that is not known says nothing."""
    if one is None or other is None:
        return one or other or None
    return max(one, other)
