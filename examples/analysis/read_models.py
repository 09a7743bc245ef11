"""The folds of the three projections.

Progress per analysis, totals per project, counts per hour and type.
"""

from typing import Any

from schemas.event import Event
from schemas.events.domain import AnalysisCompleted, AnalysisFileProcessed, AnalysisStarted
from streams.projection import State


def progress(state: State, event: Event[Any]) -> State:
    """How far one analysis is."""
    data = event.data
    state["project"] = data.project_id
    match data:
        case AnalysisStarted():
            state |= {"package": data.package, "files": data.files, "status": "running"}
        case AnalysisFileProcessed():
            state["processed"] = state.get("processed", 0) + 1
            state["failed"] = state.get("failed", 0) + (data.error is not None)
        case AnalysisCompleted():
            state["status"] = "completed"
    state["events"] = state.get("events", 0) + 1
    return state


def totals(state: State, event: Event[Any]) -> State:
    """What was counted in one project."""
    data: AnalysisFileProcessed = event.data
    for name, count in (
        ("files", 1),
        ("lines", data.lines),
        ("functions", data.functions),
        ("classes", data.classes),
        ("imports", data.imports),
        ("failed", int(data.error is not None)),
    ):
        state[name] = state.get(name, 0) + count
    return state


def count_per_type(state: State, event: Event[Any]) -> State:
    """How many events of each type one hour had."""
    state[event.type] = state.get(event.type, 0) + 1
    return state


def hour_of(event: Event[Any]) -> str:
    """The key of the hourly counts: `2026-11-23T14`, UTC."""
    return event.timestamp.strftime("%Y-%m-%dT%H")
