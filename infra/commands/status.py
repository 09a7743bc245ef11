"""`wundr status`: what runs for this folder and where it answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from infra.application import recorded_application
from infra.process_pages import process_states
from infra.settings import load_settings
from infra.stack.local import absolute, find_endpoints
from infra.stack.processes import RecordedProcess, Verdict, verdict_on
from infra.stack.state import read_state

app = typer.Typer(add_completion=False)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Show the servers and processes of this folder, and whether each is ready, or why not.

    Exit code 1 when no servers run.

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
        "pages": {name: it.as_mapping() for name, it in process_states(state_dir)},
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
    lines += _readiness(facts["pages"])
    return "\n".join(lines) + "\n"


def _readiness(pages: object) -> list[str]:
    """A line for each process that answers: ready, or why not."""
    lines: list[str] = []
    for name, told in (pages if isinstance(pages, dict) else {}).items():
        lines.append(f"{name:<11} {'ready' if told['ready'] else 'not ready'}  {told['url']}")
        lines += [f"            {check}: {reason}" for check, reason in told["reasons"].items()]
        lines += [
            f"            {subscription} pauses: {pause['waiting_for']}: {pause['reason']}"
            for subscription, pause in told["paused"].items()
        ]
    return lines
