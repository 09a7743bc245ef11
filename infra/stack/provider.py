"""Chooses where Kafka and PostgreSQL come from: external, then embedded, then docker."""

from __future__ import annotations

from dataclasses import dataclass

from infra.errors import ProviderUnavailable
from infra.settings import ProviderName


@dataclass(frozen=True, slots=True, kw_only=True)
class Possibilities:
    """What this machine and these settings offer; a reason stands where something does not."""

    external_given: bool
    embedded_missing: str | None
    docker_missing: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A provider and the one line that says why it was taken."""

    provider: ProviderName
    reason: str


def choose(asked: ProviderName, possible: Possibilities) -> Choice:
    """The provider to use. Raises ProviderUnavailable, naming what each one lacks."""
    missing = {
        ProviderName.EXTERNAL: None
        if possible.external_given
        else "WUNDR_KAFKA_BOOTSTRAP and WUNDR_POSTGRES_DSN are not set",
        ProviderName.EMBEDDED: possible.embedded_missing,
        ProviderName.DOCKER: possible.docker_missing,
    }
    if asked is not ProviderName.AUTO:
        if missing[asked]:
            raise ProviderUnavailable(f"Provider {asked} is not usable: {missing[asked]}.")
        return Choice(provider=asked, reason="asked for")
    why = {
        ProviderName.EXTERNAL: "addresses are set",
        ProviderName.EMBEDDED: "no addresses are set, Kafka and PostgreSQL run from packages",
        ProviderName.DOCKER: f"embedded is not usable: {possible.embedded_missing}",
    }
    for provider, lack in missing.items():
        if lack is None:
            return Choice(provider=provider, reason=why[provider])
    lacks = "; ".join(f"{provider}: {lack}" for provider, lack in missing.items())
    raise ProviderUnavailable(f"No provider is usable ({lacks}).")
