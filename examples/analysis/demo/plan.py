"""Which processes the demonstration runs, and where each of them leaves its traces. Pure."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.supervisor import ProcessPlan

TEAM_APP = "examples.analysis.app"
WORKERS = ("worker-1", "worker-2")
SHOWN_BY = frozenset({"platform", "gateway", *WORKERS})
"""What an event needs on its way to the page; the others follow, as nothing waits for them."""
RELEASES = ("1.0.0", "1.1.0")
"""The releases of the two producers: one was not yet upgraded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFolders:
    """Where one run keeps its files, below the state folder."""

    state_dir: Path
    run_id: str

    @property
    def run(self) -> Path:
        """The run's own folder."""
        return self.state_dir / "runs" / self.run_id

    @property
    def journals(self) -> Path:
        """One journal per process that publishes or appends."""
        return self.run / "journals"

    @property
    def faults(self) -> Path:
        """What workers fail on, for as long as it is there."""
        return self.run / "faults.json"

    def journal(self, name: str) -> Path:
        """The journal of a process."""
        return self.journals / f"{name}.jsonl"

    def run_file(self, name: str) -> Path:
        """Where a process says its pid and port."""
        return self.run / f"{name}.json"

    def log(self, name: str) -> Path:
        """What a process printed."""
        return self.run / "logs" / f"{name}.log"


def service_plans(
    folders: DemoFolders, environment: Mapping[str, str], gateway_port: int
) -> tuple[ProcessPlan, ...]:
    """The platform worker, the sink, the relay, the gateway, and two workers of the team app."""
    commands: dict[str, list[str]] = {
        "platform": ["worker", "platform", *_run_file(folders, "platform")],
        "sink": ["sink"],
        "relay": ["relay"],
        "gateway": ["gateway", "--port", str(gateway_port), "--development"],
    } | {
        name: [
            "worker",
            TEAM_APP,
            "--journal",
            str(folders.journal(name)),
            *_run_file(folders, name),
        ]
        for name in WORKERS
    }
    return tuple(
        ProcessPlan(
            name=name,
            command=[sys.executable, "-m", "infra", *command],
            log_file=folders.log(name),
            environment=environment,
        )
        for name, command in commands.items()
    )


def _run_file(folders: DemoFolders, name: str) -> list[str]:
    return ["--run-file", str(folders.run_file(name))]


def producer_plans(
    folders: DemoFolders, environment: Mapping[str, str], root: Path
) -> tuple[ProcessPlan, ...]:
    """Two producers of different releases, each with half of the packages."""
    return tuple(
        ProcessPlan(
            name=f"producer-{release}",
            command=[
                sys.executable,
                "-m",
                "examples.analysis.produce",
                "--root",
                str(root),
                "--run",
                folders.run_id,
                "--share",
                f"{index}/{len(RELEASES)}",
                "--release",
                release,
                "--journal",
                str(folders.journal(f"producer-{release}")),
            ],
            log_file=folders.log(f"producer-{release}"),
            environment=environment,
            restarts=False,
        )
        for index, release in enumerate(RELEASES)
    )
