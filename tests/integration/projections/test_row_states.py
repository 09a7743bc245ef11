"""States in rows: what is stored is what was folded, wherever batches end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from connectors.version_fold import VersionFold
from schemas.event import Event, EventFactory
from tests.integration.projections.stored import CATALOG, PER_PROJECT, Store, files, folded, total
from tests.integration.projections.working import (
    live_of,
    projector,
    rebuild,
    running,
    until_at_end,
)

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("batch", [1, 3, 9])
async def test_rows_do_not_depend_on_where_batches_end(store: Store, batch: int) -> None:
    projection = replace(PER_PROJECT, fold=last_three, key=lambda _event: "all")
    names = ("zz", "a", "mmmm", "b", "zz", "ccc", "a", "q", "b")
    events = [named(name, number) for number, name in enumerate(names)]
    await store.put([])
    rows = store.edges.store
    await rows.register("team", "team.app", projection)
    version = (await live_of(store, projection)).version_id
    claim = await rows.claim(version, "one")
    assert claim is not None
    fold = VersionFold(projection, store.edges, claim)
    for begin in range(0, len(events), batch):
        await store.put(events[begin : begin + batch])
        await fold.up_to(await store.edges.history.ends())
    held = (await rows.rows(version, ["all"]))["all"]
    assert held.state == orjson.dumps(folded(projection, events)["all"])


def named(name: str, number: int) -> Event[Any]:
    """An event about a file of this name, all of one aggregate: so they stand in order."""
    facts = {
        "analysisId": "a",
        "projectId": "p",
        "path": name,
        "lines": number,
        "functions": 0,
        "classes": 0,
        "error": None,
        "imports": 0,
        "complexity": None,
    }
    factory = EventFactory(CATALOG, source="tests")
    return factory.create_from_mapping("analysis.file.processed", facts, aggregate_id="one")


def last_three(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
    """A fold that depends on the order of keys, and on a sum that is no integer."""
    last = dict(state.get("last", {}))
    last.pop(event.data.path, None)
    last[event.data.path] = event.data.lines
    while len(last) > 3:
        del last[next(iter(last))]
    return {"sum": state.get("sum", 1e16) + 1, "last": last}


async def test_states_that_differ_in_the_order_of_keys_alone_are_the_same(store: Store) -> None:
    await store.put(files(10))
    rows = store.edges.store
    await rows.register("team", "team.app", PER_PROJECT)
    await (await rebuild(store, PER_PROJECT)).run()
    worker = projector(store, PER_PROJECT)
    async with running(worker):
        await until_at_end(store, await live_of(store, PER_PROJECT))
    turned = replace(PER_PROJECT, fold=total_turned)
    report = await (await rebuild(store, turned)).run()
    assert report.parity is not None
    assert (report.parity.rows, report.parity.differences) == (2, 0)


def total_turned(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
    """The same as `total`, its keys the other way round."""
    return dict(reversed(total(state, event).items()))
