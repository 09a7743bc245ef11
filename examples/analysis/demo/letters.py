"""The letters of the team app and of the platform, as the demonstration looks at them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from examples.analysis.app import app
from schemas.topics import CONTROL_TOPIC, PLATFORM_APP, dead_letter_topic, retry_topic
from streams.kafka.reader import KafkaReader
from streams.parking.letters import Letters, LettersReading
from streams.settings import KafkaSettings


@asynccontextmanager
async def open_letters(kafka: KafkaSettings) -> AsyncIterator[LettersReading]:
    """All live letters, as they are now. Raises BrokerUnavailable, TopicMissing."""
    topics = [
        topic
        for name in (app.name, PLATFORM_APP)
        for topic in (dead_letter_topic(name), retry_topic(name))
    ]
    reading = LettersReading(KafkaReader(kafka, [*topics, CONTROL_TOPIC]), Letters())
    try:
        await reading.start()
        await reading.catch_up()
        yield reading
    finally:
        await reading.close()


async def live_ids(kafka: KafkaSettings) -> frozenset[str]:
    """The ids of all events that are not done, whichever way they wait."""
    async with open_letters(kafka) as reading:
        return frozenset(letter.id for letter in reading.letters.live())
