"""The `wundr` command: finds the sub command, turns errors into one sentence and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage. Data goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import gc
import importlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Final

import typer

from schemas.errors import WundrError

_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Command:
    """A sub command: its name, the module that has `app: typer.Typer`, and one line of help."""

    name: str
    module: str
    help: str


COMMANDS: Final = (
    Command("demo", "infra.commands.demo", "Start everything and watch real events flow."),
    Command("test", "infra.commands.test", "Run all checks and tests (`fast`: without a broker)."),
    Command("up", "infra.commands.up", "Start Kafka and PostgreSQL for this folder."),
    Command("down", "infra.commands.down", "Stop what runs for this folder; data is kept."),
    Command("status", "infra.commands.status", "Show what runs and where it answers."),
    Command("doctor", "infra.commands.doctor", "Say what is wrong and what to do about it."),
    Command("topics", "infra.commands.topics", "Plan and apply the topics."),
    Command("worker", "infra.commands.worker", "Run one worker of an app."),
    Command("breaker", "infra.commands.breaker", "Hold a breaker of an app open or closed."),
    Command("sink", "infra.commands.sink", "Write the event store's topic to PostgreSQL."),
    Command("relay", "infra.commands.relay", "Send appended events to Kafka."),
    Command("project", "infra.commands.project", "Keep an app's Postgres projections up to date."),
    Command("projections", "infra.commands.projections", "List, read and rebuild projections."),
    Command("sagas", "infra.commands.sagas", "Show where the courses of sagas stand."),
    Command("replay", "infra.commands.replay", "Read history again, into one handler."),
    Command("gateway", "infra.commands.gateway", "Serve browsers."),
    Command("token", "infra.commands.token", "Mint a development token for the gateway."),
    Command("events", "infra.commands.events", "Look at and send events."),
    Command("dlq", "infra.commands.dlq", "Look at events that failed; redrive, edit, drop them."),
    Command("store", "infra.commands.store", "Look at the event store, audit it, restore it."),
    Command("schemas", "infra.commands.schemas", "Check and generate schemas."),
    Command("bench", "infra.commands.bench", "Measure beside the peers on this machine."),
)


def main() -> None:
    """Entry point of the installed `wundr`."""
    # What is loaded stays: to look for garbage meanwhile would take a tenth of the time.
    gc.disable()
    if any(command.name in sys.argv[1:2] for command in COMMANDS):
        # Not for `--help`: what knows events takes its time to load.
        importlib.import_module("infra.logs").logging_as_set()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    if arguments and arguments[0] == "--version":
        sys.stdout.write(f"{_version()}\n")
        return 0
    command = next((it for it in COMMANDS if arguments and it.name == arguments[0]), None)
    if command is None:
        return _overview(arguments)
    # SIGTERM takes the same way out as Ctrl-C, so that everything started is stopped.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app = _loaded(command)
        return int(
            app(arguments[1:], prog_name=f"wundr {command.name}", standalone_mode=False) or 0
        )
    except KeyboardInterrupt:
        return _INTERRUPTED
    except WundrError as error:
        return _report(error)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.Abort:
        return _INTERRUPTED
    except _usage_error() as error:
        error.show()
        return 2


def _loaded(command: Command) -> typer.Typer:
    app: typer.Typer = importlib.import_module(command.module).app
    gc.enable()
    return app


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _usage_error() -> type[typer.BadParameter]:
    # Typer raises click's usage errors; its own BadParameter is one of them.
    base: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
    return base


def _report(error: WundrError) -> int:
    sys.stderr.write(f"wundr: {error.message}\n")
    if error.__cause__ is not None:
        sys.stderr.write(f"  cause: {error.__cause__}\n")
    sys.stderr.write(f"  next:  {error.remedy}\n")
    return 1


def _overview(arguments: Sequence[str]) -> int:
    asked = not arguments or arguments[0] in ("--help", "-h", "help")
    out = sys.stdout if asked else sys.stderr
    if not asked:
        out.write(f"wundr: there is no command {arguments[0]!r}.\n\n")
    out.write("Usage: wundr COMMAND [OPTIONS]     wundr COMMAND --help explains one\n\n")
    for command in COMMANDS:
        out.write(f"  {command.name:<11} {command.help}\n")
    out.write("\nStart with: wundr demo\n")
    return 0 if asked else 2


def _version() -> str:
    metadata = importlib.import_module("importlib.metadata")
    return str(metadata.version("wundr-events"))


if __name__ == "__main__":
    main()
