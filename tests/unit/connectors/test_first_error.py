"""One error instead of a group of them."""

import asyncio
from typing import NoReturn

import pytest

from connectors.errors import DatabaseUnavailable, NotMigrated
from connectors.first_error import first_error
from connectors.projection_service import run_projectors
from connectors.projector import Projector, ProjectorSettings
from connectors.version_fold import ProjectionEdges
from streams.projection import KeptIn, Projection


async def fail(error: Exception) -> NoReturn:
    raise error


async def test_the_error_of_a_task_is_raised_as_itself_with_its_cause() -> None:
    cause = OSError("no route")
    away = DatabaseUnavailable("away")
    away.__cause__ = cause
    with pytest.raises(DatabaseUnavailable) as met, first_error():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail(away))
    assert met.value is away
    assert met.value.__cause__ is cause


def test_the_first_of_several_errors_is_raised_also_out_of_groups_in_groups() -> None:
    inner = ExceptionGroup("inner", [DatabaseUnavailable("first"), OSError("second")])
    with pytest.raises(DatabaseUnavailable, match="first"), first_error():
        raise ExceptionGroup("outer", [inner, ValueError("third")])


async def test_an_error_outside_of_a_group_is_left_as_it_is() -> None:
    with pytest.raises(ValueError, match="plain"), first_error():
        await fail(ValueError("plain"))


class NotThere:
    """A database that was never migrated."""

    async def register(self, *_: object) -> NoReturn:
        raise NotMigrated("there is no table projections")


async def test_projectors_on_a_database_that_is_not_migrated_say_so() -> None:
    settings = ProjectorSettings(app="team", module="team.app", owner="one")
    edges = ProjectionEdges(history=NotThere(), store=NotThere())  # type: ignore[arg-type]  # no more is asked
    projectors = [
        Projector(
            Projection(
                name=name,
                patterns=("*",),
                fold=lambda state, _event: state,
                initial=dict,
                kept_in=KeptIn.POSTGRES,
            ),
            edges,
            settings,
        )
        for name in ("a", "b")
    ]
    with pytest.raises(NotMigrated):
        await run_projectors(projectors, asyncio.Event())
