"""Has letters redriven, dropped or edited, and says what became of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import typer

from infra.letter_tables import print_lines, print_rows, print_summary
from infra.letter_view import order_summary, row
from infra.letters import LetterDesk, letter_plan, open_letters
from streams.parking.errors import OrdersOpen
from streams.parking.letter import Letter
from streams.parking.letters import Backlog, LettersReading
from streams.parking.ordering import Ordered, Outcome, order_record
from streams.parking.orders import OrderKind
from streams.parking.selection import Filters, failed_ones, named, parked
from streams.records import OutgoingRecord

DONE: Final = {
    OrderKind.REDRIVE: "redriven",
    OrderKind.DROP: "dropped",
    OrderKind.EDIT: "handled with the new data",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """How orders are to be given; `rate` per second, `patience_s` of waiting without a change."""

    dry_run: bool
    rate: float | None
    wait: bool
    patience_s: float
    yes: bool
    json: bool


async def give_orders(
    kind: OrderKind, names: Sequence[str], filters: Filters, given: Given
) -> None:
    """Order this about the named letters, or about all parked ones that pass the filters.

    Raises UnknownLetterApp, LetterNotFound, LetterIsBehind, LetterNotRedriven, OrdersOpen; Exit
    with 1 when some failed again.
    """
    plan = letter_plan()
    async with open_letters(plan.kafka, filters.app) as reading:
        live = reading.letters.live()
        backlog = Backlog(live)
        chosen = failed_ones(named(live, names), backlog) if names else parked(live, filters)
        records = [order_record(it, kind) for it in chosen]
        if given.dry_run:
            rows = [row(it, backlog, reading.letters) for it in chosen]
            print_lines(rows) if given.json else print_rows(rows)
            return
        _confirm(kind, len(chosen), given)
        async with LetterDesk(plan) as desk:
            await _carry_out(kind, desk, (records, chosen), reading, given)


async def edit_letter(name: str, data: Mapping[str, Any], reason: str | None, given: Given) -> None:
    """Have the event of a letter tried with other data, and write down who did that.

    Raises as `give_orders`, and for data that do not fit as LetterEditor; then nothing is ordered.
    """
    plan = letter_plan()
    async with open_letters(plan.kafka, whole=[name]) as reading, LetterDesk(plan) as desk:
        live = reading.letters.live()
        letter, *others = failed_ones(named(live, [name]), Backlog(live))
        if others:
            raise typer.BadParameter(
                "several handlers could not do this event, name one letter: "
                + ", ".join(it.id for it in (letter, *others))
            )
        edit = await desk.edit(letter, data)
        record = order_record(letter, OrderKind.EDIT, edit.value)
        await desk.write_down(edit, reason)
        await _carry_out(OrderKind.EDIT, desk, ([record], [letter]), reading, given)


async def _carry_out(
    kind: OrderKind,
    desk: LetterDesk,
    orders: tuple[Sequence[OutgoingRecord], Sequence[Letter]],
    reading: LettersReading,
    given: Given,
) -> None:
    records, letters = orders
    await desk.send(records, given.rate)
    if not given.wait:
        ordered = [Ordered(before=it, outcome=Outcome.ORDERED, now=it) for it in letters]
        _say(kind, ordered, given)
        return
    ordered = await desk.follow(letters, reading, given.patience_s)
    _say(kind, ordered, given)
    open_ids = [it.before.id for it in ordered if it.outcome is Outcome.ORDERED]
    if open_ids:
        raise OrdersOpen(open_ids, given.patience_s)
    if any(it.outcome in (Outcome.FAILED, Outcome.WAITING) for it in ordered):
        raise typer.Exit(1)


def _confirm(kind: OrderKind, count: int, given: Given) -> None:
    """Ask before something is ordered about several letters."""
    if count < 2 or given.yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{count:,} letters: say --yes, or look first with --dry-run")
    typer.confirm(f"{kind.value} {count:,} letters?", abort=True, err=True)


def _say(kind: OrderKind, ordered: Sequence[Ordered], given: Given) -> None:
    summary = order_summary(kind.value, ordered)
    print_lines([summary]) if given.json else print_summary(summary, DONE[kind])
    sys.stdout.flush()
