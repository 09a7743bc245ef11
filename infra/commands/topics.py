"""`wundr topics plan|apply`: the topics as code, compared before anything is changed."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from infra.settings import load_settings
from infra.stack.local import require_endpoints
from infra.topics import Action, TopicChange
from infra.topics import apply as apply_changes
from infra.topics import plan as plan_changes
from schemas.catalog import Catalog
from schemas.topics import TopicSpec, platform_topics
from streams.app import App

app = typer.Typer(add_completion=False)
Apps = Annotated[
    list[str] | None, typer.Argument(metavar="[MODULE:APP]...", help="Apps whose topics to add.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line per change.")]


@app.command()
def plan(apps: Apps = None, as_json: AsJson = False) -> None:
    """Show what `apply` would do. Exit code 1 when something would be refused.

    Example: wundr topics plan examples.analysis.app:app
    """
    _, changes = _planned(apps or [])
    _show(changes, as_json=as_json)
    if any(change.action is Action.REFUSE for change in changes):
        raise typer.Exit(1)


@app.command()
def apply(apps: Apps = None, as_json: AsJson = False) -> None:
    """Create what is missing and set what differs; deletes nothing, keeps partition counts."""
    bootstrap, changes = _planned(apps or [])
    apply_changes(bootstrap, changes)
    _show(changes, as_json=as_json)


def _planned(names: Sequence[str]) -> tuple[str, list[TopicChange]]:
    settings = load_settings()
    endpoints = require_endpoints(settings)
    specs: list[TopicSpec] = list(platform_topics(Catalog.load(), settings.partitions))
    for name in names:
        specs += _load_app(name).topic_specs(settings.partitions)
    return endpoints.kafka_bootstrap, plan_changes(endpoints.kafka_bootstrap, specs)


def _load_app(name: str) -> App:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute or "app")
    except (ImportError, AttributeError) as error:
        raise typer.BadParameter(f"{name}: {error}; write it as module:attribute") from error
    if not isinstance(found, App):
        raise typer.BadParameter(f"{name} is not an App")
    return found


def _show(changes: Sequence[TopicChange], *, as_json: bool) -> None:
    for change in changes:
        fields = {"action": change.action.value, "topic": change.spec.name, "detail": change.detail}
        line = json.dumps(fields) if as_json else "  ".join(fields.values())
        sys.stdout.write(line + "\n")
    if not changes and not as_json:
        sys.stdout.write("Every topic is as it should be.\n")
