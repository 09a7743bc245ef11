"""Connections to every place that a run is counted at."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from examples.analysis.connection import Connection, connect
from examples.analysis.demo.journals import Journals
from examples.analysis.demo.screen import Screen
from examples.analysis.demo.settings import DemoSettings
from examples.analysis.demo.workers import Workers
from gateway.client import GatewayClient
from streams.kafka.reader import KafkaReader
from streams.records import TopicPartition
from streams.settings import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The bus and the store, the workers' tables, the journals, and a client of the gateway."""

    application: Connection
    workers: Workers
    journals: Journals
    client: GatewayClient
    screen: Screen


@asynccontextmanager
async def places(
    settings: DemoSettings, client: GatewayClient | None = None
) -> AsyncIterator[Places]:
    """Connect to all of them; lets go of them at the end, of the client too."""
    client = client or GatewayClient()
    folders = settings.folders
    try:
        async with (
            connect(settings.endpoints, "analysis-demo", folders.journal("demo")) as application,
            aiohttp.ClientSession() as http,
        ):
            yield Places(
                application=application,
                workers=Workers(http, folders),
                journals=Journals(folders.journals, application.codec, folders.run_id),
                client=client,
                screen=Screen(began=settings.began),
            )
    finally:
        await client.close()


async def ends_of(settings: KafkaSettings, topics: Sequence[str]) -> dict[TopicPartition, int]:
    """The offset after the last record of each partition of these topics."""
    reader = KafkaReader(settings, topics)
    await reader.start()
    try:
        return dict(await reader.end())
    finally:
        await reader.close()
