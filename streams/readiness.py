"""Whether a process is ready for work, and if it is not, why: the answer of `/ready`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from streams.metric_names import CHECK_OK, READY
from streams.metrics import Sample

Check = Callable[[], str | None]
"""Why the process is not ready, in a sentence; None when nothing is wrong. Takes no time."""


class Readiness:
    """The checks of one process; it is ready when none of them finds anything."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._facts: list[Callable[[], Mapping[str, Any]]] = []

    def add(self, name: str, check: Check) -> None:
        """Ask this, too. `name` is among a few that do not change: it becomes a label."""
        self._checks[name] = check

    def show(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Show these on `/ready`, too: what is worth knowing, and no reason to be not ready."""
        self._facts.append(facts)

    def failing(self) -> Mapping[str, str]:
        """What is wrong, by the name of the check."""
        found = {name: check() for name, check in self._checks.items()}
        return {name: reason for name, reason in found.items() if reason is not None}

    def as_mapping(self) -> Mapping[str, Any]:
        """For `/ready`."""
        failing = self.failing()
        shown = {name: fact for facts in self._facts for name, fact in facts().items()}
        return {
            **shown,
            "ready": not failing,
            "reasons": dict(failing),
            "checks": sorted(self._checks),
        }

    def samples(self) -> Iterable[Sample]:
        """See MetricSource."""
        failing = self.failing()
        yield READY.sample(int(not failing))
        for name in self._checks:
            yield CHECK_OK.sample(int(name not in failing), name)
