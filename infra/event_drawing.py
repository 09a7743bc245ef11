"""The course of an event as a picture (SVG). Pure: the same course gives the same bytes.

One band for each event, causes above effects and to the left of them. Time runs to the right on a
logarithmic scale: an event passes four topics in milliseconds, and waits for a retry in minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log10
from typing import Final
from xml.sax.saxutils import escape

from infra.event_tree import since
from streams.timeline import Occurrence, Sighting, Stage, Timeline

WIDTH: Final = 1_240
LABELS: Final = 500
"""Where the names end and the time begins."""
RIGHT: Final = WIDTH - 40
TOP: Final = 76
INDENT: Final = 18
DEEPEST: Final = 12
"""Effects further down are not moved further in: their names would have no room."""

LINE: Final = 16
PADDING: Final = 20
RADIUS: Final = 8
CHARACTER: Final = 7.9
"""Width of a letter, the bold ones included: a name ends where the time begins."""

MARKS: Final = {
    Stage.PUBLISHED: ("P", "#1f6feb"),
    Stage.ARCHIVED: ("A", "#57606a"),
    Stage.STORED: ("S", "#0a7d5a"),
    Stage.SHOWN: ("B", "#8250df"),
    Stage.RETRY: ("R", "#b45309"),
    Stage.DEAD_LETTER: ("D", "#cf222e"),
    Stage.LEFT: ("L", "#0a7d5a"),
}
"""Letter and colour of what happens at a known time."""

WORDS: Final = {
    Stage.HANDLED: "#0a7d5a",
    Stage.PROJECTED: "#0a7d5a",
    Stage.SAGA: "#0a7d5a",
    Stage.PENDING: "#b45309",
}
"""Colours of what nobody wrote the time of."""

LEGEND: Final = {
    Stage.PUBLISHED: "published",
    Stage.ARCHIVED: "archived",
    Stage.STORED: "stored by the sink",
    Stage.SHOWN: "broadcast to a room",
    Stage.RETRY: "waits for a retry",
    Stage.DEAD_LETTER: "dead letter",
    Stage.LEFT: "left retries or dead letters",
}

TICKS: Final = (
    (0, "0"),
    (1, "1 ms"),
    (10, "10 ms"),
    (100, "100 ms"),
    (1_000, "1 s"),
    (10_000, "10 s"),
    (60_000, "1 min"),
    (600_000, "10 min"),
    (3_600_000, "1 h"),
    (36_000_000, "10 h"),
    (86_400_000, "1 day"),
    (864_000_000, "10 days"),
)

STYLE: Final = (
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328}"
    ".type{font-weight:700;font-size:13px}.dim{fill:#6e7781}"
    ".mark{font-size:10px;font-weight:700;fill:#fff;text-anchor:middle}"
    ".tick{text-anchor:middle;fill:#6e7781;font-size:11px}"
)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A sighting with a time, where it is drawn within its band."""

    sighting: Sighting
    x: float
    lane: int


@dataclass(frozen=True, slots=True)
class _Band:
    """An event with its place in the picture."""

    occurrence: Occurrence
    depth: int
    top: float
    height: float
    marks: Sequence[_Mark]
    lines: Sequence[tuple[str, str]]

    @property
    def begin(self) -> float:
        """Where its first mark is; where its name ends without one."""
        return self.marks[0].x if self.marks else LABELS


def draw(course: Timeline) -> str:
    """The picture as an SVG document."""
    bands = _bands(course)
    bottom = (bands[-1].top + bands[-1].height) if bands else TOP
    height = round(bottom + 64)
    parts = [
        _opening(height),
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="type" x="20" y="28">Course of {escape(course.asked)}</text>',
        *(
            f'<text class="dim" x="20" y="48">not looked through: {_cut(it, WIDTH)}</text>'
            for it in course.unsearched[:1]
        ),
        *(_highlight(it) for it in bands if it.occurrence.event.id == course.asked),
        *_axis(course, bottom),
        *_arrows(bands),
        *(part for band in bands for part in _band(band, course)),
        *_legend(bottom + 36),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _opening(height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Course of an event">'
    )


def _bands(course: Timeline) -> list[_Band]:
    bands: list[_Band] = []
    top = float(TOP)
    for depth, occurrence in course.occurrences():
        marks = _marks(occurrence, course)
        lines = list(_lines(occurrence))
        lanes = max((mark.lane for mark in marks), default=0) + 1
        height = max(len(lines) * LINE, lanes * (2 * RADIUS + 2)) + PADDING
        bands.append(_Band(occurrence, depth, top, height, marks, lines))
        top += height
    return bands


def _marks(occurrence: Occurrence, course: Timeline) -> list[_Mark]:
    """Marks from left to right; one that would cover another goes a lane down."""
    marks: list[_Mark] = []
    ends: list[float] = []
    for sighting in occurrence.sightings:
        if sighting.at_ms is None or sighting.stage not in MARKS:
            continue
        x = _x(sighting.at_ms - course.began_ms, _longest_ms(course))
        lane = next((number for number, end in enumerate(ends) if end <= x), len(ends))
        ends[lane : lane + 1] = [x + 2 * RADIUS + 2]
        marks.append(_Mark(sighting, x, lane))
    return marks


def _lines(occurrence: Occurrence) -> Iterator[tuple[str, str]]:
    """Texts of a band, each with its colour."""
    event = occurrence.event
    yield event.type, "#1f2328"
    if event.aggregate is not None:
        version = "" if event.aggregate.version is None else f" v{event.aggregate.version}"
        yield f"{event.key}{version}", "#6e7781"
    if occurrence.emitted_by is not None:
        yield f"emitted by {occurrence.emitted_by}", "#6e7781"
    for sighting in occurrence.sightings:
        if sighting.stage in (Stage.RETRY, Stage.DEAD_LETTER):
            yield (
                f"{sighting.stage.value}: {sighting.subject} {sighting.detail}",
                MARKS[sighting.stage][1],
            )
        elif sighting.at_ms is None:
            colour = WORDS.get(sighting.stage, "#6e7781")
            yield f"{sighting.stage.value}: {sighting.subject}", colour


def _highlight(band: _Band) -> str:
    return (
        f'<rect x="8" y="{band.top:.0f}" width="{WIDTH - 16}" height="{band.height:.0f}" '
        'rx="6" fill="#fff8c5"/>'
    )


def _band(band: _Band, course: Timeline) -> Iterator[str]:
    left = 20 + min(band.depth, DEEPEST) * INDENT
    room = LABELS - left - RADIUS
    yield f"<g><title>{escape(band.occurrence.event.id)}</title>"
    for number, (text, colour) in enumerate(band.lines):
        kind = ' class="type"' if number == 0 else ""
        y = band.top + 18 + number * LINE
        yield f'<text{kind} x="{left}" y="{y:.0f}" style="fill:{colour}">{_cut(text, room)}</text>'
    yield "</g>"
    for mark in band.marks:
        letter, colour = MARKS[mark.sighting.stage]
        y = _mark_y(band, mark)
        yield f"<g><title>{_tooltip(mark.sighting, course)}</title>"
        yield f'<circle cx="{mark.x:.1f}" cy="{y:.1f}" r="{RADIUS}" fill="{colour}"/>'
        yield f'<text class="mark" x="{mark.x:.1f}" y="{y + 3.5:.1f}">{letter}</text></g>'


def _arrows(bands: Sequence[_Band]) -> Iterator[str]:
    """From the first mark of a cause down to the first mark of each effect."""
    above: list[_Band] = []
    for band in bands:
        del above[band.depth :]
        if above:
            cause = above[-1]
            from_y = cause.top + 18 + RADIUS
            to_y = band.top + 18 - 4
            yield (
                f'<path d="M{cause.begin:.1f} {from_y:.1f} V{to_y:.1f} H{band.begin:.1f}" '
                'fill="none" stroke="#afb8c1" stroke-width="1.5" stroke-dasharray="3 3"/>'
            )
        above.append(band)


def _axis(course: Timeline, bottom: float) -> Iterator[str]:
    longest = _longest_ms(course)
    for at_ms, label in TICKS:
        if at_ms > longest:
            break
        x = _x(at_ms, longest)
        yield f'<path d="M{x:.1f} {TOP - 6} V{bottom:.0f}" stroke="#eaeef2"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{TOP - 12}">{label}</text>'


def _legend(y: float) -> Iterator[str]:
    x = 28.0
    for stage, meaning in LEGEND.items():
        letter, colour = MARKS[stage]
        yield f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{RADIUS}" fill="{colour}"/>'
        yield f'<text class="mark" x="{x:.0f}" y="{y + 3.5:.1f}">{letter}</text>'
        yield f'<text class="dim" x="{x + 14:.0f}" y="{y + 4:.0f}">{meaning}</text>'
        x += 42 + len(meaning) * 7.4


def _longest_ms(course: Timeline) -> int:
    times = [seen.at_ms for _, it in course.occurrences() for seen in it.sightings if seen.at_ms]
    return max(10, max(times, default=0) - course.began_ms)


def _x(at_ms: int, longest_ms: int) -> float:
    """Logarithmic, with 0 at the beginning; clocks that disagree do not leave the picture."""
    share = log10(1 + max(0, at_ms)) / log10(1 + longest_ms)
    return LABELS + min(1.0, share) * (RIGHT - LABELS)


def _mark_y(band: _Band, mark: _Mark) -> float:
    return band.top + 14 + mark.lane * (2 * RADIUS + 2)


def _tooltip(sighting: Sighting, course: Timeline) -> str:
    words = (sighting.stage.value, sighting.subject, sighting.detail)
    return escape(" ".join(it for it in (since(sighting.at_ms, course.began_ms), *words) if it))


def _cut(text: str, room: float) -> str:
    """As much of a text as has room."""
    longest = int(room / CHARACTER)
    return escape(text if len(text) <= longest else f"{text[: longest - 1]}…")
