"""Faust's recovery of tables, which also says for which assignment it has come to its end."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from faust.tables import TableManager
from faust.tables.recovery import Recovery


class _Serving(Protocol):
    """An app that takes records once its tables are recovered."""

    serve: Callable[[int], Awaitable[None]]


class ServingRecovery(Recovery):
    """Calls `app.serve` with the generation whose tables are recovered.

    Faust may end a recovery when its assignment is over by then: who serves must look.
    """

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Tables are recovered and partitions sought."""
        await super().on_recovery_completed(generation_id)
        await cast(_Serving, self.app).serve(generation_id)

    async def _resume_streams(self, generation_id: int = 0) -> None:
        await super()._resume_streams(generation_id)
        await cast(_Serving, self.app).serve(generation_id)


class ServingTableManager(TableManager):
    """A table manager with our recovery."""

    @property
    def recovery(self) -> Any:
        """The one recovery of this app."""
        if self._recovery is None:
            self._recovery = ServingRecovery(self.app, self, beacon=self.beacon)
        return self._recovery
