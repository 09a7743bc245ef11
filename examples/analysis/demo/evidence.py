"""Collects what each place says about one run: journals, rows, tables, a client's screen."""

from examples.analysis.app import app
from examples.analysis.demo.places import Places, ends_of
from examples.analysis.demo.settings import DemoSettings
from examples.analysis.reckoning import Evidence, Tables, difference

PROJECTIONS = tuple(projection.name for projection in app.projections)


async def collect(settings: DemoSettings, at: Places, before: Tables) -> Evidence:
    """The evidence as it is now; `before` holds the tables as they were before the run.

    Raises ProcessNotReady or DatabaseUnavailable while a place does not answer.
    """
    at.journals.look()
    return Evidence(
        acknowledged=tuple(at.journals.events.values()),
        stored=await at.application.store.stored_ids(settings.folders.run_id),
        tables=difference(await at.workers.tables(PROJECTIONS), before),
        shown=tuple(at.screen.shown),
        rooms=frozenset(settings.rooms),
    )


async def has_backlog(settings: DemoSettings, at: Places) -> bool:
    """Whether the workers have events of earlier runs before them.

    Raises ProcessNotReady or DatabaseUnavailable.
    """
    # Asked first: what the relay has sent by then stands in the ends that are asked for below.
    if (await at.application.outbox.delay()).waiting:
        return True
    committed = await at.workers.committed()
    # Asked after the commits: what the committed events were re-keyed to stands in these ends.
    work = app.workload()
    topics = (*work.event_topics(at.application.catalog), *work.repartition_topics())
    ends = await ends_of(settings.kafka, topics)
    return any(committed.get(str(source), 0) < end for source, end in ends.items())
