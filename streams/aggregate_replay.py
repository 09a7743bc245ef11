"""Aggregates as they were: the history folded up to a version or a time, by the code of today."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from streams.decider import AggregateModel, version_after
from streams.errors import AggregateNotFound, UnknownAggregateType
from streams.event_store import EventQueries

StateT = TypeVar("StateT")


class Replayed(NamedTuple, Generic[StateT]):
    """An aggregate at a version."""

    state: StateT
    version: int


class EventReplay:
    """Replays aggregates of the types whose models it is given. Changes nothing."""

    def __init__(self, stored: EventQueries, models: Iterable[AggregateModel[Any, Any]]) -> None:
        self._stored = stored
        self._models = {model.aggregate_type: model for model in models}

    async def replay_events(
        self,
        aggregate_type: str,
        aggregate_id: str,
        target_version: int | None = None,
        *,
        target_time: datetime | None = None,
    ) -> Replayed[Any]:
        """The aggregate behind its target: up to that version, up to that time, else as it is.

        No snapshot is read: what comes out is what the events say. Raises UnknownAggregateType,
        AggregateNotFound when it had no events then, HistoryGap, and what reading raises.
        """
        model = self._models.get(aggregate_type)
        if model is None:
            raise UnknownAggregateType(aggregate_type, self._models)
        return await replayed(
            model, self._stored, aggregate_id, target_version, target_time=target_time
        )


async def replayed(
    model: AggregateModel[Any, StateT],
    stored: EventQueries,
    aggregate_id: str,
    target_version: int | None = None,
    *,
    target_time: datetime | None = None,
) -> Replayed[StateT]:
    """See EventReplay.replay_events, for the type of one model."""
    state, version = model.begin(aggregate_id), 0
    history = stored.history(model.aggregate_type, aggregate_id, 1, target_version)
    async for event in history:
        if target_time is not None and event.timestamp > target_time:
            break
        version = version_after(version, event)
        state = model.evolve(state, event)
    if version == 0:
        raise AggregateNotFound(f"{model.aggregate_type}/{aggregate_id}")
    return Replayed(state, version)
