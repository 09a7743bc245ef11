"""`wundr status`: what runs for this folder and where it answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from infra.application import recorded_application
from infra.settings import load_settings
from infra.stack.local import absolute, find_endpoints
from infra.stack.processes import RecordedProcess, Verdict, verdict_on
from infra.stack.state import read_state

app = typer.Typer(add_completion=False)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Show the servers and the application of this folder. Exit code 1 when no servers run.

    Example: wundr status --json
    """
    settings = load_settings()
    endpoints = find_endpoints(settings)
    state_dir = absolute(settings.state_dir)
    processes = _judged(read_state(state_dir).processes)
    application = {
        name: it
        for name, it in _judged(recorded_application(state_dir)).items()
        if it["state"] == Verdict.OURS
    }
    facts: dict[str, object] = {
        "running": endpoints is not None,
        "provider": endpoints.provider if endpoints else None,
        "kafka": endpoints.kafka_bootstrap if endpoints else None,
        "processes": processes,
        "application": application,
    }
    sys.stdout.write(json.dumps(facts) + "\n" if as_json else _text(facts))
    if endpoints is None:
        raise typer.Exit(1)


def _judged(recorded: Mapping[str, RecordedProcess]) -> dict[str, dict[str, object]]:
    return {
        name: {"pid": process.pid, "state": verdict_on(process).value}
        for name, process in recorded.items()
    }


def _text(facts: dict[str, object]) -> str:
    if not facts["running"]:
        return "Nothing runs for this folder. Start it with: wundr up\n"
    lines = [f"Provider    {facts['provider']}", f"Kafka       {facts['kafka']}"]
    for kind in ("processes", "application"):
        processes = facts[kind]
        if isinstance(processes, dict):
            lines += [
                f"{name:<11} pid {it['pid']} ({it['state']})" for name, it in processes.items()
            ]
    return "\n".join(lines) + "\n"
