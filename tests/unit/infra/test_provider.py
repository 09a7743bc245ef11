"""The provider is external, then embedded, then docker, with a reason."""

from __future__ import annotations

import pytest

from infra.errors import ProviderUnavailable
from infra.settings import ProviderName
from infra.stack.provider import Possibilities, choose


def possible(
    *, external: bool = False, embedded: str | None = None, docker: str | None = None
) -> Possibilities:
    return Possibilities(external_given=external, embedded_missing=embedded, docker_missing=docker)


@pytest.mark.parametrize(
    ("possibilities", "expected"),
    [
        (possible(external=True), ProviderName.EXTERNAL),
        (possible(), ProviderName.EMBEDDED),
        (possible(embedded="no Java"), ProviderName.DOCKER),
    ],
)
def test_the_first_usable_provider_is_taken(
    possibilities: Possibilities, expected: ProviderName
) -> None:
    assert choose(ProviderName.AUTO, possibilities).provider is expected


def test_docker_is_taken_with_the_reason_why_embedded_was_not() -> None:
    assert "no Java" in choose(ProviderName.AUTO, possible(embedded="no Java")).reason


def test_what_was_asked_for_is_taken_although_another_comes_first() -> None:
    assert choose(ProviderName.DOCKER, possible(external=True)).provider is ProviderName.DOCKER


def test_a_provider_that_was_asked_for_is_never_replaced() -> None:
    with pytest.raises(ProviderUnavailable, match="docker is not usable: no engine"):
        choose(ProviderName.DOCKER, possible(docker="no engine"))


def test_without_any_provider_each_lack_is_named() -> None:
    with pytest.raises(ProviderUnavailable) as refused:
        choose(ProviderName.AUTO, possible(embedded="no Java", docker="no engine"))
    assert all(
        lack in str(refused.value) for lack in ("no Java", "no engine", "WUNDR_KAFKA_BOOTSTRAP")
    )
