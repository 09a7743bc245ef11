"""`wundr schemas check|generate`: the event schemas as code, refused before the merge."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from schemas.catalog import Catalog
from schemas.check import all_faults, rule_faults
from schemas.errors import CatalogFault
from schemas.generation import apply, changes

app = typer.Typer(add_completion=False)


@app.callback()
def schemas() -> None:
    """Check and generate schemas."""


@app.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Check every schema file: rules, compatibility, lock, generated files. Exit code 1 on a fault.

    Example: wundr schemas check
    """
    faults = all_faults()
    if as_json:
        found = {"faults": [asdict(fault) for fault in faults]}
        sys.stdout.write(json.dumps(found) + "\n")
    if faults:
        if as_json:
            raise typer.Exit(1)
        raise CatalogFault(faults)
    if not as_json:
        catalog = Catalog.load()
        types, versions = len(catalog.types()), len(catalog.schema_ids())
        sys.stdout.write(f"{types} event types in {versions} schema versions keep every rule.\n")


@app.command()
def generate(
    only_check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 when a file is stale.")
    ] = False,
) -> None:
    """Write composed schemas, the lock and the typed classes from the hand-written files.

    Example: wundr schemas generate
    """
    faults = rule_faults()
    if faults:
        raise CatalogFault(faults)
    found = changes()
    if not only_check:
        apply(found)
    for name in found.names:
        sys.stdout.write(f"{'stale' if only_check else 'wrote'} {name}\n")
    if not found.names:
        sys.stdout.write("Every generated file is as it should be.\n")
    if only_check and found.names:
        raise typer.Exit(1)
