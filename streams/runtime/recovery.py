"""Faust's recovery, for stock tables only; it also says when an assignment can begin."""

from collections.abc import Callable
from typing import Any, Protocol, cast

from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.runtime.tables import ProjectionTable


class _Serving(Protocol):
    """An app that goes on from here by itself."""

    serve: Callable[[int], None]


class ServingRecovery(Recovery):
    """Calls `app.serve` with the generation that Faust is ready for.

    Faust may end a recovery when its assignment is over by then: who serves must look. Tables of
    projections are recovered there (streams/runtime/table_recovery.py).
    """

    def add_active(self, table: Any, tp: TP) -> None:
        """See Recovery."""
        if not isinstance(table, ProjectionTable):
            super().add_active(table, tp)

    def add_standby(self, table: Any, tp: TP) -> None:
        """See Recovery."""
        if not isinstance(table, ProjectionTable):
            super().add_standby(table, tp)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Stock tables are recovered and partitions sought."""
        await super().on_recovery_completed(generation_id)
        cast(_Serving, self.app).serve(generation_id)

    async def _resume_streams(self, generation_id: int = 0) -> None:
        await super()._resume_streams(generation_id)
        cast(_Serving, self.app).serve(generation_id)


class ServingTableManager(TableManager):
    """A table manager with our recovery."""

    @property
    def recovery(self) -> Any:
        """The one recovery of this app."""
        if self._recovery is None:
            self._recovery = ServingRecovery(self.app, self, beacon=self.beacon)
        return self._recovery
