"""`wundr dlq`: look at events that failed; have them redriven, edited or dropped."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from infra.given_patterns import given_pattern
from infra.letter_orders import Given, edit_letter, give_orders
from infra.letter_tables import print_counts, print_groups, print_lines, print_rows, print_whole
from infra.letter_view import group_row, row, whole
from infra.letters import LetterDesk, letter_plan, open_letters, say_faults
from streams.parking.letters import Backlog
from streams.parking.orders import OrderKind
from streams.parking.selection import Filters, Grouping, grouped, named

PATIENCE_S: Final = 30.0
RATE: Final = re.compile(r"(?P<count>\d+(\.\d+)?)(/s)?")

app = typer.Typer(add_completion=False, no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Letters, or their events, by id.")
]
OfApp = Annotated[str | None, typer.Option("--app", help="Those of this app, by its name.")]
OfError = Annotated[str | None, typer.Option("--error", help="Those with this reason.")]
OfType = Annotated[str | None, typer.Option("--type", help="Those of this type, or analysis.*")]
OfHandler = Annotated[str | None, typer.Option("--handler", help="Those of this handler.")]
Every = Annotated[bool, typer.Option("--all", help="Every parked event.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would be; order nothing.")]
Rate = Annotated[str | None, typer.Option(metavar="N/s", help="Order so many a second at most.")]
Wait = Annotated[bool, typer.Option(help="Wait for what becomes of it.")]
Patience = Annotated[
    float, typer.Option(min=0, help="Seconds without any change after which waiting ends.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")]


@app.command("list")
def list_letters(
    of_app: Annotated[str | None, typer.Argument(metavar="[APP]", help="An app's name.")] = None,
    *,
    group_by: Annotated[Grouping | None, typer.Option(help="Count them by this.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what has failed: parked events, those that are tried again, how many wait behind each.

    Example: wundr dlq list analysis --group-by error
    """
    asyncio.run(_list(of_app, group_by, as_json=as_json))


@app.command()
def show(letter_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Show everything of one letter: the event, why it failed, where it stood, what waits for it.

    Example: wundr dlq show analysis.main/notify/events.domain.high/2/41
    """
    asyncio.run(_show(letter_id, as_json=as_json))


def _ordering(kind: OrderKind, meaning: str) -> Callable[..., None]:
    """The command that orders this."""

    def order(
        ids: Ids = None,
        of_app: OfApp = None,
        error: OfError = None,
        event_type: OfType = None,
        handler: OfHandler = None,
        every: Every = False,
        dry_run: DryRun = False,
        rate: Rate = None,
        wait: Wait = True,
        patience: Patience = PATIENCE_S,
        yes: Yes = False,
        as_json: AsJson = False,
    ) -> None:
        filters = _filters(of_app, error, event_type, handler)
        if bool(ids) == (every or not filters.is_empty):
            raise typer.BadParameter("name letters, or say which by --app, --error, ... or --all")
        given = Given(
            dry_run=dry_run, rate=_rate(rate), wait=wait, patience_s=patience, yes=yes, json=as_json
        )
        asyncio.run(give_orders(kind, ids or (), filters, given))

    order.__doc__ = meaning
    return order


app.command("redrive")(
    _ordering(
        OrderKind.REDRIVE,
        """Have parked events tried again, and then all that wait behind them, in order.

        Exit code 1 when some failed again, or when no worker has tried them.

        Example: wundr dlq redrive --error ValueError --rate 100/s --yes
        """,
    )
)
app.command("drop")(
    _ordering(
        OrderKind.DROP,
        """Have parked events count as done for their subscription; what waits behind goes on.

        Example: wundr dlq drop analysis.main/notify/events.domain.high/2/41
        """,
    )
)


@app.command()
def edit(
    letter_id: Annotated[str, typer.Argument(metavar="ID")],
    data: Annotated[str, typer.Option(metavar="JSON", help="The whole data; - reads stdin.")],
    *,
    reason: Annotated[str | None, typer.Option(help="Why, for those who ask later.")] = None,
    wait: Wait = True,
    patience: Patience = PATIENCE_S,
    as_json: AsJson = False,
) -> None:
    """Have a failed event tried again with other data; its id and its envelope stay.

    Data that do not fit the schema are refused, and nothing is ordered. The event
    system.letter.edited says who did it.

    Example: wundr dlq edit analysis.main/notify/events.domain.high/2/41 --data - < data.json
    """
    given = Given(dry_run=False, rate=None, wait=wait, patience_s=patience, yes=True, json=as_json)
    asyncio.run(edit_letter(letter_id, _payload(data), reason, given))


async def _list(of_app: str | None, group_by: Grouping | None, *, as_json: bool) -> None:
    async with open_letters(letter_plan().kafka, of_app) as reading:
        letters, backlog = reading.letters, Backlog(reading.letters.live())
    say_faults(letters)
    if group_by is not None:
        groups = [group_row(it, group_by.value) for it in grouped(backlog, group_by)]
        print_lines(groups) if as_json else print_groups(groups, group_by.value)
        return
    rows = [row(it, backlog, letters) for it in backlog.heads()]
    if as_json:
        print_lines(rows)
        return
    print_rows(rows)
    print_counts(backlog.counts)


async def _show(name: str, *, as_json: bool) -> None:
    plan = letter_plan()
    async with open_letters(plan.kafka, whole=[name]) as reading:
        letters, live = reading.letters, reading.letters.live()
    backlog = Backlog(live)
    async with LetterDesk(plan) as desk:
        for letter in named(live, [name]):
            shown = whole(letter, await desk.decode(letter), backlog, letters)
            print_lines([shown]) if as_json else print_whole(shown)


def _filters(
    of_app: str | None, error: str | None, event_type: str | None, handler: str | None
) -> Filters:
    if event_type is not None:
        given_pattern(event_type)
    return Filters(app=of_app, error=error, event_type=event_type, handler=handler)


def _rate(text: str | None) -> float | None:
    if text is None:
        return None
    parsed = RATE.fullmatch(text)
    if parsed is None or float(parsed["count"]) == 0:
        raise typer.BadParameter(f"{text!r} is no rate: write it as 100/s", param_hint="--rate")
    return float(parsed["count"])


def _payload(data: str) -> Mapping[str, Any]:
    try:
        payload = json.loads(sys.stdin.read() if data == "-" else data)
    except ValueError as error:
        raise typer.BadParameter(f"the data is not JSON: {error}", param_hint="--data") from error
    if not isinstance(payload, dict):
        raise typer.BadParameter("the data is not a JSON object", param_hint="--data")
    return payload
