"""Errors of projections that are kept in rows, and of replays.

ConnectorsError
├── UnknownProjection      no projection has this name
├── UnknownRow             a projection has no row of this key
├── TakenOver              another process folds this version now
├── VersionInUse           another process has the lease of a version
├── FoldStopped            a fold raised at an event
├── NoPreviousVersion      there is nothing to go back to
├── LiveMoved              the pointer was moved by somebody else
├── VersionGone            the version that is to be read was removed
├── NoLiveVersion          the pointer leads to no version
├── TableRebuiltByWorkers  the command works on rows, and the projection is a table
└── UnknownHandler         no handler of the app has this name
"""

from collections.abc import Iterable
from typing import ClassVar

from connectors.errors import ConnectorsError
from streams.folding import FoldFailure


class UnknownProjection(ConnectorsError):
    """No projection has this name."""

    code = "connectors.unknown_projection"
    remedy = "Look at `wundr projections list`; name the app with --app where it never ran."

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        listed = ", ".join(sorted(known))
        super().__init__(
            f"There is no projection {name!r}" + (f", only {listed}." if listed else ".")
        )


class UnknownRow(ConnectorsError):
    """A projection has no row of this key."""

    code = "connectors.unknown_row"
    remedy = "Check the key; an event that was just published is folded within seconds."

    def __init__(self, name: str, key: str) -> None:
        super().__init__(f"Projection {name!r} has no row of the key {key!r}.")


class TakenOver(ConnectorsError):
    """Another process folds this version, or an unconfirmed commit had succeeded."""

    code = "connectors.taken_over"
    retryable: ClassVar[bool] = True
    remedy = "A worker goes on from the checkpoint that Postgres holds; start a rebuild again."

    def __init__(self, version_id: int) -> None:
        super().__init__(f"Version {version_id} is no longer where this process left it.")


class VersionInUse(ConnectorsError):
    """Another process has the lease of a version."""

    code = "connectors.version_in_use"
    retryable: ClassVar[bool] = True
    remedy = "End the other process, or try again once its lease of some seconds is over."

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"Version {version} of {name!r} is folded by another process.")


class FoldStopped(ConnectorsError):
    """A fold raised: nothing behind that event is folded, and the live version is as it was."""

    code = "connectors.fold_stopped"
    remedy = "Correct the fold for this event (see `wundr events get ID`), then rebuild again."

    def __init__(self, name: str, failure: FoldFailure) -> None:
        self.failure = failure
        super().__init__(f"Projection {name!r} stopped at {failure}")


class NoPreviousVersion(ConnectorsError):
    """There is nothing to go back to."""

    code = "connectors.no_previous_version"
    remedy = "Rebuild the projection: `wundr projections rebuild NAME`."

    def __init__(self, name: str) -> None:
        super().__init__(f"Projection {name!r} has no version before the live one.")


class LiveMoved(ConnectorsError):
    """The pointer was moved by somebody else meanwhile."""

    code = "connectors.live_moved"
    remedy = "Look at `wundr projections list`, then decide again."

    def __init__(self, name: str) -> None:
        super().__init__(f"Another version of {name!r} went live meanwhile; nothing was switched.")


class VersionGone(ConnectorsError):
    """The version that is to be read was removed meanwhile."""

    code = "connectors.version_gone"
    remedy = "Build it anew: `wundr projections rebuild NAME`."

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"Version {version} of {name!r} was removed; nothing was switched.")


class NoLiveVersion(ConnectorsError):
    """The pointer of a projection leads to no version."""

    code = "connectors.no_live_version"
    retryable: ClassVar[bool] = True
    remedy = "Build one: `wundr projections rebuild NAME`; workers go on with it by themselves."

    def __init__(self, name: str) -> None:
        super().__init__(f"Projection {name!r} has no version that can be read.")


class TableRebuiltByWorkers(ConnectorsError):
    """The projection is a table: its workers alone can build it anew."""

    code = "connectors.table_rebuilt_by_workers"
    remedy = (
        "Restart its workers, one after the other, with `wundr worker APP --rebuild-tables`; for "
        "versions side by side keep the projection in Postgres (kept_in=KeptIn.POSTGRES)."
    )

    def __init__(self, name: str) -> None:
        super().__init__(f"Projection {name!r} is kept in its workers' tables, not in rows.")


class UnknownHandler(ConnectorsError):
    """No handler of the app has this name."""

    code = "connectors.unknown_handler"
    remedy = "Name one of the app's handlers."

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"There is no handler {name!r}, only {', '.join(sorted(known))}.")
