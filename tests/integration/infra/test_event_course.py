"""`wundr events trace`, `explain` and `wundr doctor` on real servers with real processes."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from tests.integration.infra.wundr_command import command, environment, wait_until, wundr

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]

APP = "tests.integration.infra.traced_app:app"
SESSION = {"sessionId": "s-1", "projectId": "p-1", "profileId": "f", "userId": None}


COURSE = {
    "setup.session.started": {
        "handled traced.main/begin",
        "projected traced.main/sessions",
        "stored PostgreSQL",
        "shown room project.p-1",
    },
    "setup.step.validate.started": {"dead letter traced.main/refuse", "stored PostgreSQL"},
}


class Installation:
    """Processes of one installation, and its commands."""

    def __init__(self, folder: Path, bootstrap: str, dsn: str) -> None:
        self.folder = folder
        self._settings = {
            "WUNDR_PROVIDER": "external",
            "WUNDR_KAFKA_BOOTSTRAP": bootstrap,
            "WUNDR_POSTGRES_DSN": dsn,
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *words: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self._running[" ".join(words)] = subprocess.Popen(
                command(*words),
                cwd=self.folder,
                env=environment(**self._settings),
                stdout=log,
                stderr=log,
            )

    def stop(self, *words: str) -> None:
        process = self._running.pop(" ".join(words))
        process.terminate()
        process.wait(40)

    def stop_all(self) -> None:
        for name in list(self._running):
            self.stop(*name.split(" "))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return wundr(self.folder, *words, **self._settings)

    def lines(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run(*words, "--json").stdout.splitlines()]

    def publish(self) -> str:
        found = self.lines("events", "publish", "setup.session.started", json.dumps(SESSION))
        return str(found[0]["id"])


@pytest.fixture
def installation(
    kafka_bootstrap: str, fresh_database: str, working_folder: Path
) -> Iterator[Installation]:
    asyncio.run(migrate(PostgresSettings(dsn=fresh_database)))
    installation = Installation(working_folder, kafka_bootstrap, fresh_database)
    applied = installation.run("topics", "apply", APP)
    assert applied.returncode == 0, applied.stderr
    for words in (["worker", "platform"], ["worker", APP], ["sink"]):
        installation.start(*words)
    yield installation
    installation.stop_all()


def stages(traced: dict[str, Any]) -> dict[str, set[str]]:
    return {
        it["type"]: {f"{seen['stage']} {seen['subject']}" for seen in it["sightings"]}
        for it in traced["events"]
    }


def parked_course(installation: Installation, event_id: str) -> dict[str, Any]:
    """The course as soon as what the event brought about is parked and stored."""
    traced: dict[str, Any] = {}

    def is_parked() -> bool:
        nonlocal traced
        found = installation.lines("events", "trace", event_id, APP)
        traced = found[0] if found else {"events": []}
        seen = stages(traced)
        return all(wanted <= seen.get(name, set()) for name, wanted in COURSE.items())

    wait_until(is_parked, "the emitted event is parked and stored")
    return traced


def test_the_whole_course_of_an_event_is_found_and_the_doctor_names_what_is_wrong(
    installation: Installation,
) -> None:
    event_id = installation.publish()
    traced = parked_course(installation, event_id)
    # The alert about the parked event is an event of its own, caused by it.
    root, emitted = [it for it in traced["events"] if it["type"] != "system.alert.raised"]
    assert (root["depth"], emitted["depth"]) == (0, 1)
    assert (root["emittedBy"], emitted["emittedBy"]) == (None, "traced/begin")
    seen = stages(traced)
    assert not any("handled traced.main/refuse" in it for it in seen[emitted["type"]])

    the_course_is_drawn(installation, emitted["id"])
    place = next(it for it in seen[root["type"]] if it.startswith("published "))
    the_place_is_explained(installation, event_id, place.removeprefix("published "))
    installation.stop("worker", APP)
    installation.publish()
    the_doctor_names_what_is_wrong(installation)


def the_course_is_drawn(installation: Installation, event_id: str) -> None:
    drawn = installation.run("events", "trace", event_id, APP, "--svg", "course.svg")
    assert drawn.returncode == 0, drawn.stderr
    assert "no such profile" in drawn.stdout
    texts = {it.text for it in Xml.parse(installation.folder / "course.svg").iter()}
    assert {"setup.session.started", "setup.step.validate.started"} <= texts


def the_place_is_explained(installation: Installation, event_id: str, place: str) -> None:
    explained = {it["topic"]: it for it in installation.lines("events", "explain", event_id, APP)}
    topic, partition, offset = place.rsplit("/", 2)
    assert explained["place"]["what"] == f"{topic}/{partition} at offset {offset}"
    assert explained["shown in"]["what"] == "project.p-1"


def the_doctor_names_what_is_wrong(installation: Installation) -> None:
    examined = installation.run("doctor", "--json")
    assert examined.returncode == 1, examined.stderr
    findings = [json.loads(line) for line in examined.stdout.splitlines()]
    letters = [it["message"] for it in findings if it["check"] == "dead letters"]
    assert any("of traced" in it and "no such profile" in it for it in letters)
    groups = [it["message"] for it in findings if it["check"] == "groups"]
    assert any("traced.main has no member" in it for it in groups)
    said = {it["check"]: it["message"] for it in findings}
    assert "in the outbox" in said["relay"]
    assert "events stored" in said["store"]
    assert "versions in PostgreSQL" in said["projections"]
    assert "schemas" in said


def test_an_event_that_nobody_stored_is_named(installation: Installation) -> None:
    missing = installation.run("events", "trace", "00000000-0000-7000-8000-000000000000", APP)
    assert missing.returncode == 1
    assert "No stored event has the id" in missing.stderr


def test_a_type_that_nobody_knows_is_answered_with_what_may_be_meant(working_folder: Path) -> None:
    refused = wundr(working_folder, "events", "explain", "analysis.complete")
    assert refused.returncode == 1
    assert "did you mean analysis.completed" in refused.stderr
