"""Which events of a run are poisoned. Pure, but for the file that says so to the workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import orjson

from examples.analysis.plan import PackagePlan

FOLD: Final = "analysis-progress"
HANDLER: Final = "notify"

MOST_FILES: Final = 5
MOST_PACKAGES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """The aggregates whose events fail, by the projection or handler that fails on them.

    Files of different packages, the largest ones, so that each poisoned event is the head of a
    sequence of its own, and most have others behind them.
    """

    by_name: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, plans: Sequence[PackagePlan], root: Path) -> Self:
        """The events of a run that are poisoned: at least one file and one package."""
        by_size = sorted(plans, key=lambda plan: (-len(plan.files), plan.package))
        files = [
            f"{plan.analysis_id}:{plan.files[0].relative_to(root).as_posix()}"
            for plan in by_size[:MOST_FILES]
        ]
        packages = [plan.analysis_id for plan in by_size[:MOST_PACKAGES]]
        return cls(by_name={FOLD: files, HANDLER: packages})

    @property
    def count(self) -> int:
        """How many events fail."""
        return sum(len(ids) for ids in self.by_name.values())

    def spread(self, path: Path) -> None:
        """Have the workers that start from now on fail on them."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps({name: list(ids) for name, ids in self.by_name.items()}))
