"""The setup workflow: each step follows from the event before it."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from examples.analysis.setup_workflow import PROFILES, register, session_id
from schemas.catalog import Catalog
from schemas.event import Event, EventFactory
from schemas.events.domain import SetupSessionStarted
from streams.app import App
from streams.context import Context, Emitter

FACTORY = EventFactory(Catalog.load(), "test")


async def types_of_session(profile: str) -> list[str]:
    """All events of a session: each handler's emissions are handled in turn."""
    app = App("setup")
    register(app)
    data = SetupSessionStarted(session_id="s1", profile_id=profile, project_id="core", user_id=None)
    waiting: deque[Event[Any]] = deque([FACTORY.create(data)])
    types = []
    while waiting:
        event = waiting.popleft()
        types.append(event.type)
        for handler in app.handlers:
            if handler.wants(event.type):
                context = Context(event, Emitter(app.name, handler.name, FACTORY))
                await handler.function(event, context)
                waiting.extend(context.finish())
    return types


@pytest.mark.parametrize("profile", sorted(PROFILES))
async def test_a_known_profile_is_validated_and_installed(profile: str) -> None:
    assert await types_of_session(profile) == [
        "setup.session.started",
        "setup.step.validate.started",
        "setup.step.validate.completed",
        "setup.step.install.started",
        "setup.step.install.completed",
        "setup.session.completed",
    ]


async def test_an_unknown_profile_fails_at_validation() -> None:
    assert await types_of_session("cobol") == [
        "setup.session.started",
        "setup.step.validate.started",
        "setup.step.validate.completed",
        "setup.session.failed",
    ]


def test_a_session_has_one_id_per_run_project_and_profile() -> None:
    ids = {
        session_id(run, project, profile)
        for run in ("run-1", "run-2")
        for project in ("core", "tools")
        for profile in PROFILES
    }
    assert len(ids) == 2 * 2 * len(PROFILES)
    assert session_id("run-1", "core", "go") == session_id("run-1", "core", "go")
