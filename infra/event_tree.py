"""The course of an event as a tree for a terminal, and as a mapping for machines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

from streams.timeline import Occurrence, Sighting, Stage, Timeline

STYLES: Final = {
    Stage.RETRY: "yellow",
    Stage.PENDING: "yellow",
    Stage.DEAD_LETTER: "red",
    Stage.HANDLED: "green",
    Stage.SAGA: "green",
    Stage.PROJECTED: "green",
}
WIDTH: Final = 12
"""Of the longest name of a stage, and of a time."""
DEEPEST: Final = 12
"""Levels that are told apart: each takes four columns of the terminal."""


def event_tree(course: Timeline) -> Tree:
    """Causes above effects; below each event what happened to it, times since the first event."""
    top, began_ms = Tree(_heading(course), guide_style="dim"), course.began_ms
    branches = [top]
    for depth, occurrence in course.occurrences():
        level = min(depth, DEEPEST)
        branch = branches[level].add(_title(occurrence, course))
        for sighting in occurrence.sightings:
            branch.add(_line(sighting, began_ms))
        branches[level + 1 :] = [branch]
    return top


def timeline_mapping(course: Timeline) -> Mapping[str, Any]:
    """For `--json`; the keys are part of the command's promise."""
    return {
        "asked": course.asked,
        "beganMs": course.began_ms,
        "unsearched": list(course.unsearched),
        "events": [
            {
                "depth": depth,
                "id": it.event.id,
                "type": it.event.type,
                "key": it.event.key,
                "version": None if it.event.aggregate is None else it.event.aggregate.version,
                "causationId": it.event.causation_id,
                "correlationId": it.event.correlation_id,
                "emittedBy": it.emitted_by,
                "timestampMs": it.event.timestamp_ms,
                "sightings": [_sighting_mapping(seen, course.began_ms) for seen in it.sightings],
            }
            for depth, it in course.occurrences()
        ],
    }


def since(at_ms: int | None, began_ms: int) -> str:
    """A time as seconds since the beginning; nothing where nobody knows it."""
    return "" if at_ms is None else f"{(at_ms - began_ms) / 1_000:+.3f} s"


def _heading(course: Timeline) -> Text:
    depths = [depth for depth, _ in course.occurrences()]
    count = len(depths)
    text = f"{count} event{'s' if count != 1 else ''}, times since the first"
    if max(depths, default=0) > DEEPEST:
        text += f"; those more than {DEEPEST} causes deep stand one below the other"
    return Text(text, "dim")


def _title(occurrence: Occurrence, course: Timeline) -> Text:
    event = occurrence.event
    is_asked = event.id == course.asked
    title = Text(event.type, "bold reverse" if is_asked else "bold")
    if event.aggregate is not None:
        version = "" if event.aggregate.version is None else f" v{event.aggregate.version}"
        title.append(f"  {event.key}{version}", "cyan")
    if occurrence.emitted_by is not None:
        title.append(f"  emitted by {occurrence.emitted_by}", "not bold")
    return title.append(f"  {event.id}", "dim not bold not reverse")


def _line(sighting: Sighting, began_ms: int) -> Text:
    line = Text(f"{since(sighting.at_ms, began_ms):>{WIDTH}}  ", "dim")
    line.append(f"{sighting.stage.value:<{WIDTH}}", STYLES.get(sighting.stage, "blue"))
    line.append(f"{sighting.subject}", "not dim")
    return line.append(f"  {sighting.detail}", "dim") if sighting.detail else line


def _sighting_mapping(sighting: Sighting, began_ms: int) -> Mapping[str, Any]:
    return {
        "stage": sighting.stage.value,
        "subject": sighting.subject,
        "detail": sighting.detail,
        "atMs": sighting.at_ms,
        "sinceMs": None if sighting.at_ms is None else sighting.at_ms - began_ms,
    }
