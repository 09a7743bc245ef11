"""What one run of the demonstration is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from examples.analysis.demo.chaos import Poison
from examples.analysis.demo.opening import USER
from examples.analysis.demo.plan import DemoFolders
from examples.analysis.plan import PackagePlan, projects_of
from gateway.settings import GatewaySettings
from infra.stack.endpoints import Endpoints
from streams.settings import KafkaSettings

STALLED_S: Final = 30.0
"""How long counts may stand still, by default, before a run is judged as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """A run: its servers, its folders, what it analyses."""

    endpoints: Endpoints
    folders: DemoFolders
    root: Path
    plans: Sequence[PackagePlan]
    gateway: GatewaySettings
    environment: Mapping[str, str]
    began: float
    """When the command began, on the monotonic clock in seconds."""
    stalled_s: float = STALLED_S
    poison: Poison | None = None
    """The events that fail until they are mended; None where nothing is broken on purpose."""

    @property
    def kafka(self) -> KafkaSettings:
        """How the demonstration itself reaches Kafka."""
        return KafkaSettings(bootstrap=self.endpoints.kafka_bootstrap)

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms that the connected client joins."""
        projects = (f"project.{project}" for project in projects_of(self.plans))
        return ("system", f"user.{USER}", *projects)

    @property
    def gateway_url(self) -> str:
        """Where the live page is."""
        return f"http://{self.gateway.host}:{self.gateway.port}"

    @property
    def files(self) -> int:
        """How many source files there are."""
        return sum(len(plan.files) for plan in self.plans)
