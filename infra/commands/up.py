"""`wundr up`: start Kafka and PostgreSQL for this folder and make the platform's topics."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from infra.settings import ProviderName, load_settings
from infra.stack.local import start_stack
from infra.topics import apply, plan
from schemas.catalog import Catalog
from schemas.topics import platform_topics

app = typer.Typer(add_completion=False)


@app.command()
def up(
    provider: Annotated[
        ProviderName | None, typer.Option(help="Where the servers come from.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Start what is not running, in the background; `wundr down` stops it.

    Example: wundr up && wundr status
    """
    settings = load_settings(provider=provider)
    endpoints = start_stack(settings)
    specs = platform_topics(Catalog.load(), settings.partitions)
    apply(endpoints.kafka_bootstrap, plan(endpoints.kafka_bootstrap, specs))
    if as_json:
        facts = {"provider": endpoints.provider, "kafka": endpoints.kafka_bootstrap}
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    sys.stdout.write(f"Kafka       {endpoints.kafka_bootstrap}\n")
    sys.stdout.write(f"PostgreSQL  running, its address is in {settings.state_dir}/stack.json\n")
