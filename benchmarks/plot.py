"""A result as a picture: one bar a system, a line from its slowest to its fastest round. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from benchmarks.screen import number, systems

_WIDTH: Final = 760
_LEFT: Final = 230
_RIGHT: Final = 90
_BAR: Final = 22
_STEP: Final = 34
_TOP: Final = 56
_OURS: Final = "#2f6f4f"
_PEER: Final = "#8a94a0"


def svg(result: Mapping[str, Any]) -> str:
    """An SVG document; systems that were not run are left out."""
    rows = [(name, entry) for name, entry in systems(result) if "missing" not in entry]
    longest = max((entry["max"] for _, entry in rows), default=0.0) or 1.0
    height = _TOP + _STEP * len(rows) + 16
    bars = "".join(_bar(place, name, entry, longest) for place, (name, entry) in enumerate(rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="13">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>\n'
        f'<text x="12" y="24" font-size="16" font-weight="bold">{escape(result["question"])}'
        "</text>\n"
        f'<text x="12" y="43" fill="#555">{escape(result["bench"])}, {escape(result["unit"])}: '
        f"median of the rounds, line from slowest to fastest</text>\n{bars}</svg>\n"
    )


def _bar(place: int, name: str, entry: Mapping[str, Any], longest: float) -> str:
    scale = (_WIDTH - _LEFT - _RIGHT) / longest
    top = _TOP + place * _STEP
    middle = top + _BAR / 2
    low, high = (_LEFT + entry[end] * scale for end in ("min", "max"))
    colour = _OURS if place == 0 else _PEER
    return (
        f'<text x="{_LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{_LEFT}" y="{top}" width="{entry["median"] * scale:.1f}" height="{_BAR}" '
        f'fill="{colour}"/>'
        f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" stroke="black"/>'
        f'<text x="{high + 6:.1f}" y="{middle + 4:.1f}">{number(entry["median"])}</text>\n'
    )
