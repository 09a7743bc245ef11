"""Both forms of an aggregate behind one repository."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from examples.analysis.aggregate import Analysis, AnalysisRefused, AnalysisResults, AnalysisStatus
from examples.analysis.decider import ANALYSIS, CompleteAnalysis, StartAnalysis
from schemas.event import Metadata
from schemas.events.domain import AnalysisStarted, NotificationSent
from streams.aggregate import RootModel
from streams.decider import AggregateModel, Decider
from streams.errors import BrokerUnavailable, ForeignDecision, VersionConflict
from streams.memory.log import MemoryLog
from streams.memory.snapshots import MemorySnapshots
from streams.repository import Repository, RepositoryEdges
from streams.snapshot import Snapshot, SnapshotForm
from tests.unit.streams.appending import FakeAppender, factory_of, stored_in

RESULTS = AnalysisResults(files=5, failed=0, functions=38, classes=3, lines=1_325, duration_ms=42)


@dataclass
class Rig:
    """One form of the aggregate, and everything around it."""

    model: AggregateModel[Any, Any]
    start: Any
    complete: Any
    log: MemoryLog = field(default_factory=MemoryLog)
    snapshots: MemorySnapshots = field(default_factory=MemorySnapshots)

    def __post_init__(self) -> None:
        self.appender = FakeAppender(self.log)

    def repository(self, **options: Any) -> Repository[Any, Any]:
        edges = RepositoryEdges(
            stored=stored_in(self.log),
            appender=self.appender,
            factory=factory_of(),
            snapshots=self.snapshots,
        )
        return Repository(self.model, edges, **options)


def functions() -> Rig:
    start = StartAnalysis(
        analysis_id="a-1", project_id="p", package="json", files=5, root="/python"
    )
    return Rig(ANALYSIS, start, CompleteAnalysis(results=RESULTS))


def root() -> Rig:
    return Rig(
        RootModel(Analysis, factory_of()),
        lambda analysis: analysis.start("p", "json", files=5, root="/python"),
        lambda analysis: analysis.complete(RESULTS),
    )


@pytest.fixture(params=[functions, root], ids=["functions", "root"])
def rig(request: pytest.FixtureRequest) -> Rig:
    made: Callable[[], Rig] = request.param
    return made()


async def test_a_command_is_decided_appended_and_seen_by_the_next_load(rig: Rig) -> None:
    repository = rig.repository()
    started = await repository.execute("a-1", rig.start)
    assert [event.type for event in started.events] == ["analysis.started"]
    assert (started.version, started.is_repeat) == (1, False)
    completed = await rig.repository().execute("a-1", rig.complete)
    assert completed.version == 2
    assert completed.state.status is AnalysisStatus.COMPLETED
    loaded = await repository.load("a-1")
    assert loaded.version == 2
    assert loaded.state.results == RESULTS
    assert loaded.state.project_id == "p"


async def test_an_aggregate_without_events_is_new(rig: Rig) -> None:
    loaded = await rig.repository().load("a-1")
    assert loaded.version == 0
    assert loaded.state.status is AnalysisStatus.NEW


async def test_a_refused_command_appends_nothing(rig: Rig) -> None:
    with pytest.raises(AnalysisRefused):
        await rig.repository().execute("a-1", rig.complete)
    assert rig.appender.appends == 0


async def test_the_circumstances_of_a_command_travel_with_its_events(rig: Rig) -> None:
    metadata = Metadata(user_id="ada")
    done = await rig.repository(snapshot_every=1).execute(
        "a-1", rig.start, correlation_id="request-1", causation_id="cause-1", metadata=metadata
    )
    [event] = done.events
    assert (event.correlation_id, event.causation_id) == ("request-1", "cause-1")
    assert event.metadata == metadata
    assert event.aggregate == ("Analysis", "a-1", 1)


async def test_who_was_slower_decides_again_on_what_is_there_now(rig: Rig) -> None:
    other = rig.repository()
    await other.execute("a-1", rig.start)
    rig.appender.interference = [lambda: other.execute("a-1", rig.complete)]
    with pytest.raises(AnalysisRefused):
        await rig.repository().execute("a-1", rig.complete)
    assert (await other.load("a-1")).version == 2


async def test_who_is_always_slower_gives_up_after_so_many_tries() -> None:
    rig = counting_rig()
    other = rig.repository()
    rig.appender.interference = [_executing(other) for _ in range(3)]
    with pytest.raises(VersionConflict) as refusal:
        await rig.repository(tries=3).execute("a-1", rig.start)
    assert refusal.value.retryable
    assert rig.appender.appends == 3


async def test_who_loses_once_wins_with_the_next_try() -> None:
    rig = counting_rig()
    rig.appender.interference = [_executing(rig.repository())]
    done = await rig.repository(tries=2).execute("a-1", rig.start)
    assert (done.version, done.state) == (2, 2)


async def test_commands_of_one_process_on_one_aggregate_take_turns() -> None:
    rig = counting_rig()
    repository = rig.repository(tries=1)
    done = await asyncio.gather(*(repository.execute("a-1", rig.start) for _ in range(20)))
    assert sorted(one.version for one in done) == list(range(1, 21))


async def test_a_command_that_is_tried_again_gets_its_first_result(rig: Rig) -> None:
    first = await rig.repository().execute("a-1", rig.start, command_id="c-1")
    await rig.repository().execute("a-1", rig.complete, command_id="c-2")
    again = await rig.repository().execute("a-1", rig.start, command_id="c-1")
    assert again.is_repeat
    assert again.events == first.events
    assert again.version == 1
    assert again.state.status is AnalysisStatus.COMPLETED
    with pytest.raises(AnalysisRefused):
        await rig.repository().execute("a-1", rig.start, command_id="c-3")
    assert rig.appender.appends == 2


async def test_a_repeat_that_would_change_nothing_gets_its_first_result() -> None:
    once: Decider[None, int] = Decider(
        aggregate_type="Analysis",
        initial=lambda: 0,
        decide=lambda _command, state: [] if state else [started()],
        evolve=lambda state, _event: state + 1,
    )
    rig = Rig(once, None, None)
    first = await rig.repository().execute("a-1", None, command_id="c-1")
    again = await rig.repository().execute("a-1", None, command_id="c-1")
    assert (again.is_repeat, again.events) == (True, first.events)
    other = await rig.repository().execute("a-1", None, command_id="c-2")
    assert (other.is_repeat, other.events, other.version) == (False, (), 1)


async def test_a_repeat_that_decides_the_same_again_appends_nothing() -> None:
    rig = counting_rig()
    first = await rig.repository().execute("a-1", rig.start, command_id="c-1")
    again = await rig.repository().execute("a-1", rig.start, command_id="c-1")
    assert (again.is_repeat, again.events, again.state) == (True, first.events, 1)


async def test_an_event_of_another_aggregate_is_no_decision() -> None:
    sent = NotificationSent(notification_id="n", project_id="p", user_id=None, subject="")
    foreign = factory_of().create(sent, aggregate_id="n")
    model = replace(ANALYSIS, decide=lambda _command, _state: [foreign])
    rig = Rig(model, None, None)
    with pytest.raises(ForeignDecision, match=r"notification\.sent is no event of Analysis/a-1"):
        await rig.repository().execute("a-1", None)
    assert rig.appender.appends == 0


async def test_a_snapshot_is_taken_and_only_the_rest_is_read(rig: Rig) -> None:
    repository = rig.repository(snapshot_every=1)
    await repository.execute("a-1", rig.start)
    taken = await rig.snapshots.latest("Analysis", "a-1", 1)
    assert taken is not None
    assert taken.version == 1
    await rig.repository(snapshot_every=100).execute("a-1", rig.complete)
    loaded = await repository.load("a-1")
    assert (loaded.version, loaded.read) == (2, 1)
    assert loaded.state.results == RESULTS
    assert loaded.state.project_id == "p"
    assert (await rig.repository().load("a-1")).read == 0


async def test_a_snapshot_of_another_schema_version_is_ignored_and_rebuilt(rig: Rig) -> None:
    await rig.snapshots.save(Snapshot("Analysis", "a-1", 0, 1, b'{"of": "another time"}'))
    await rig.repository().execute("a-1", rig.start)
    repository = rig.repository(snapshot_every=1)
    assert (await repository.load("a-1")).read == 1
    assert (await repository.load("a-1")).read == 0
    assert await rig.snapshots.latest("Analysis", "a-1", 0) is None


@pytest.mark.parametrize("damage", [b"{", b"null", b"{}"])
async def test_a_snapshot_that_cannot_be_read_is_as_good_as_none(rig: Rig, damage: bytes) -> None:
    await rig.repository().execute("a-1", rig.start)
    await rig.snapshots.save(Snapshot("Analysis", "a-1", 1, 1, damage))
    loaded = await rig.repository().load("a-1")
    assert (loaded.version, loaded.read) == (1, 1)
    assert loaded.state.status is AnalysisStatus.RUNNING


async def test_a_command_succeeds_though_its_snapshot_cannot_be_kept(rig: Rig) -> None:
    class Away(MemorySnapshots):
        async def save(self, snapshot: Snapshot) -> None:
            raise BrokerUnavailable

    rig.snapshots = Away()
    done = await rig.repository(snapshot_every=1).execute("a-1", rig.start)
    assert done.version == 1


async def test_a_snapshot_that_knows_more_than_the_store_is_given_up() -> None:
    rig = counting_rig()
    for _ in range(3):
        await rig.repository(snapshot_every=1).execute("a-1", rig.start)
    rig.log = MemoryLog()
    rig.appender = FakeAppender(rig.log)
    done = await rig.repository(snapshot_every=1).execute("a-1", rig.start)
    assert (done.version, done.state) == (1, 1)


@pytest.mark.parametrize("options", [{"tries": 0}, {"snapshot_every": 0}])
def test_options_that_make_no_sense_are_refused(rig: Rig, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        rig.repository(**options)


def started() -> AnalysisStarted:
    return AnalysisStarted(analysis_id="a-1", project_id="p", package="x", files=1, root="/")


def counting_rig() -> Rig:
    """An aggregate that can be started any number of times, and counts how often."""
    model: Decider[Any, int] = Decider(
        aggregate_type="Analysis",
        initial=lambda: 0,
        decide=lambda _command, _state: [started()],
        evolve=lambda state, _event: state + 1,
        snapshots=SnapshotForm[int](
            schema_version=1, dump=lambda state: {"n": state}, load=lambda kept: int(kept["n"])
        ),
    )
    return Rig(model, "again", None)


def _executing(repository: Repository[Any, Any]) -> Callable[[], Any]:
    return lambda: repository.execute("a-1", "again")


async def test_a_snapshot_that_cannot_be_made_hides_no_result() -> None:
    def broken(_state: object) -> bytes:
        raise AttributeError("a defect of the team's")

    rig = functions()
    form = SnapshotForm(schema_version=1, dump=broken, load=dict)
    rig.model = replace(rig.model, snapshots=form)  # type: ignore[type-var]  # a frozen dataclass
    done = await rig.repository(snapshot_every=1).execute("a-1", rig.start)
    assert (done.version, rig.appender.appends) == (1, 1)
    assert (await rig.repository().load("a-1")).version == 1
