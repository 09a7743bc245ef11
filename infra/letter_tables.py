"""Letters on a terminal, or as lines of JSON: data on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.parking.letters import Counts

WIDE: Final = 10_000
"""Columns where no terminal has to show them: nothing that a program reads is broken up."""

TABLE_WIDTH: Final = 140
"""Columns from which on a table holds ids in one line."""

SAID: Final = (
    *("id", "state", "order", "type", "reason", "lastError", "tries", "since", "dueAt", "editedAt"),
    *("schemaId", "bytes", "key", "origin", "undecodable"),
)
"""What is said of one letter line by line, where there is something to say."""


def print_lines(lines: Sequence[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    for line in lines:
        sys.stdout.write(json.dumps(line) + "\n")


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Letters as a table; on a narrow terminal each id has a line of its own, to be copied."""
    console = _console()
    if console.width < TABLE_WIDTH:
        for it in rows:
            console.print(Text(it["id"], style="bold"), soft_wrap=True)
            waits = f", {it['behind']:,} behind it" if it["behind"] else ""
            console.print(
                Text(
                    f"  {_state(it)} since {_short(it['since'])}, {it['type'] or '?'}: "
                    f"{it['reason']}, {it['tries']} tries{waits}"
                )
            )
        return
    table = _table("id", "state", "type", "handler", "reason", "tries", "since", "behind")
    for it in rows:
        table.add_row(
            Text(it["id"]),
            _state(it),
            it["type"] or "?",
            it["handler"],
            it["reason"],
            str(it["tries"]),
            _short(it["since"]),
            str(it["behind"]),
        )
    console.print(table)


def print_groups(rows: Sequence[Mapping[str, Any]], by: str) -> None:
    """Groups as a table."""
    table = _table(by, "parked", "waiting", "behind", "since")
    for it in rows:
        numbers = [str(it[name]) for name in ("parked", "waiting", "behind")]
        table.add_row(Text(it[by]), *numbers, _short(it["since"]))
    _console().print(table)


def print_counts(counts: Counts) -> None:
    """How many there are in all."""
    sys.stdout.write(
        f"{counts.parked:,} parked, {counts.waiting:,} waiting for another try, "
        f"{counts.behind:,} behind them\n"
    )


def print_whole(letter: Mapping[str, Any]) -> None:
    """Everything of one letter."""
    console = _console()
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name in SAID:
        if letter[name] not in (None, ""):
            table.add_row(name, Text(str(letter[name])))
    table.add_row("position", Text(_place(letter["position"])))
    for name, content in letter["headers"].items():
        table.add_row(f"header {name}", Text(content))
    table.add_row("behind", str(letter["behind"]))
    for waiting in letter["waitsBehind"]:
        table.add_row("", Text(waiting))
    console.print(table)
    console.print(Text(json.dumps(letter["event"], indent=2)), soft_wrap=True)
    for line in letter["dump"] or ():
        console.print(Text(line), soft_wrap=True)


def print_summary(summary: Mapping[str, Any], done: str) -> None:
    """What became of what was ordered; `done` is the word for those that have ended."""
    sys.stdout.write(
        f"{summary['ordered']:,} ordered: {summary['done']:,} {done}, "
        f"{summary['failedAgain']:,} failed again, {summary['putAside']:,} put aside, "
        f"{summary['open']:,} not carried out yet\n"
    )
    for it in summary["letters"]:
        error = f": {it['lastError']}" if it["outcome"] in ("failed", "waiting") else ""
        sys.stdout.write(f"  {it['outcome']:<8} {it['id']}{error}\n")


def _state(it: Mapping[str, Any]) -> str:
    """What a letter waits for."""
    return it["state"] if it["order"] is None else f"{it['state']}, {it['order']} ordered"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        is_number = column in ("tries", "behind", "parked", "waiting")
        table.add_column(column, overflow="fold", justify="right" if is_number else "left")
    return table


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def _short(time: str | None) -> str:
    """A time to the second, without its zone, which is UTC."""
    return "" if time is None else time[:19].replace("T", " ")


def _place(position: Mapping[str, Any]) -> str:
    return f"{position['topic']}/{position['partition']}/{position['offset']}"
