"""`wundr breaker`: the breakers of an app, and orders that hold one open or closed."""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from infra.errors import UnknownBreaker
from infra.settings import load_settings
from infra.stack.local import require_endpoints
from streams.app import App
from streams.breaker import BreakerState
from streams.breakers import breaker_key
from streams.control import Control, Order, give_order
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.sender import KafkaSender
from streams.runtime.loading import load_app
from streams.settings import KafkaSettings

app = typer.Typer(add_completion=False, no_args_is_help=True)

Target = Annotated[str, typer.Argument(metavar="APP", help="Import path of the app.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The breaker, as `list` names it.")]
Reason = Annotated[str, typer.Option(help="Shown wherever the breaker is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Workers = Annotated[
    list[str] | None,
    typer.Option("--worker", help="Address of a worker's pages, http://HOST:PORT; several times."),
]


@app.command("list")
def list_breakers(target: Target, *, worker: Workers = None, as_json: AsJson = False) -> None:
    """Show the breakers of an app, what was ordered, and the state in each `--worker`.

    Example: wundr breaker list examples.analysis.app --worker http://127.0.0.1:6066
    """
    team_app = load_app(target)
    shown = asyncio.run(_listed(team_app, worker or ()))
    if as_json:
        sys.stdout.write("".join(json.dumps(row) + "\n" for row in shown))
        return
    if not shown:
        sys.stderr.write(f"no handler of {team_app.name} has a breaker\n")
        return
    table = Table(*("breaker", "opens after", "looks again", "ordered", "states"))
    for row in shown:
        states = ", ".join(f"{at}: {state}" for at, state in row["states"].items())
        opens = f"{row['threshold']} outages or {row['open_after_s']:g} s"
        ordered = "" if row["order"] is None else str(row["order"].get("state"))
        table.add_row(row["name"], opens, f"after {row['timeout_s']:g} s", ordered, states)
    Console().print(table)


@app.command("open")
def hold_open(target: Target, name: Name, *, reason: Reason = "") -> None:
    """Hold a breaker open in all workers: its subscription waits until `close` or `release`.

    Example: wundr breaker open examples.analysis.app mailer --reason "it moves tonight"
    """
    _give(target, name, _order(BreakerState.OPEN, reason))


@app.command("close")
def hold_closed(target: Target, name: Name, *, reason: Reason = "") -> None:
    """Hold a breaker closed in all workers: every try goes through, whatever comes back.

    Example: wundr breaker close examples.analysis.app mailer
    """
    _give(target, name, _order(BreakerState.CLOSED, reason))


@app.command()
def release(target: Target, name: Name) -> None:
    """Take an order back: the breaker judges by what comes again.

    Example: wundr breaker release examples.analysis.app mailer
    """
    _give(target, name, None)


def _order(state: BreakerState, reason: str) -> Order:
    return {"state": state.value, "reason": reason or f"ordered by {getpass.getuser()}"}


def _give(target: str, name: str, order: Order | None) -> None:
    team_app = load_app(target)
    if name not in team_app.breakers:
        known = ", ".join(sorted(team_app.breakers)) or "none"
        raise UnknownBreaker(f"{team_app.name} has no breaker {name!r}, only {known}")
    asyncio.run(_send(breaker_key(team_app.name, name), order))
    what = "released" if order is None else f"held {order['state']}"
    sys.stderr.write(f"breaker {name} of {team_app.name} is {what}: its workers follow at once\n")


async def _send(key: str, order: Order | None) -> None:
    sender = KafkaSender(_kafka())
    try:
        await sender.start()
        await give_order(sender, key, order)
    finally:
        await sender.close()


async def _listed(team_app: App, workers: Sequence[str]) -> list[dict[str, Any]]:
    orders = await _standing(team_app.name)
    states = {address: await _states(address) for address in workers}
    return [
        {
            "name": name,
            "threshold": breaker.threshold,
            "timeout_s": breaker.timeout_s,
            "open_after_s": breaker.open_after_s,
            "order": orders.get(breaker_key(team_app.name, name)),
            "states": {at: found.get(name, "unknown") for at, found in states.items()},
        }
        for name, breaker in sorted(team_app.breakers.items())
    ]


async def _standing(app_name: str) -> Mapping[str, Order]:
    control = Control(lambda: KafkaFetcher(_kafka()))
    try:
        await control.start()
        return control.orders.standing(breaker_key(app_name, ""))
    finally:
        await control.close()


async def _states(address: str) -> Mapping[str, str]:
    """The state of each breaker in one worker; nothing where it does not answer."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(f"{address.rstrip('/')}/live") as response,
        ):
            live = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        sys.stderr.write(f"{address} does not answer: {type(error).__name__}\n")
        return {}
    try:
        return {it["name"]: it["state"] for it in live["breakers"]}
    except (KeyError, TypeError):
        sys.stderr.write(f"{address} is no worker: its page /live names no breakers\n")
        return {}


def _kafka() -> KafkaSettings:
    endpoints = require_endpoints(load_settings())
    return KafkaSettings(bootstrap=endpoints.kafka_bootstrap, client_id="wundr-breaker")
