"""The event store: outbox and relay, the sink, and a quick look whether the counts agree. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from connectors.outbox import Delay
from connectors.postgres.store_health import StoreHealth
from connectors.relay_status import ALARM_S, Alarm, alarms
from infra.finding import Finding

REMEDIES: Final = {
    Alarm.OLD_ROWS: "wundr relay; if one runs, its log and /live say what it waits for",
    Alarm.HELD_BACK: "end the transaction: SELECT pid, xact_start, query FROM pg_stat_activity "
    "ORDER BY xact_start",
    Alarm.OLD_TRANSACTION: "end the transaction: SELECT pid, xact_start, query FROM "
    "pg_stat_activity ORDER BY xact_start; look at pg_prepared_xacts, too",
}


def relay_findings(delay: Delay) -> Iterator[Finding]:
    """What keeps appended events from Kafka."""
    found = alarms(delay)
    ages = {
        Alarm.OLD_ROWS: delay.oldest_s,
        Alarm.HELD_BACK: delay.holder_s,
        Alarm.OLD_TRANSACTION: delay.horizon_s,
    }
    for alarm in sorted(found):
        yield Finding(
            check="relay",
            message=f"{alarm.value} ({ages[alarm]:.0f} s, more than {ALARM_S:.0f} s; "
            f"{delay.waiting:,} events wait)",
            remedy=REMEDIES[alarm],
        )
    if not found:
        yield Finding(
            check="relay",
            message=f"{delay.waiting:,} events in the outbox, at most {delay.oldest_s:.0f} s old",
        )


def store_findings(health: StoreHealth, topic_id: str, ends: dict[int, int]) -> Iterator[Finding]:
    """Whether Postgres follows this Kafka. `ends`: of `store.events`, by partition."""
    foreign = sorted(health.topic_ids - {topic_id})
    if foreign:
        yield Finding(
            check="store",
            message=f"PostgreSQL was filled from another Kafka (store.events {foreign[0]})",
            remedy="wundr store restore into an empty database, or connect the Kafka it knows",
        )
        return
    ahead = [number for number, at in health.next.items() if at > ends.get(number, 0)]
    if ahead:
        yield Finding(
            check="store",
            message=f"PostgreSQL has read more of store.events than Kafka holds, in partitions "
            f"{', '.join(map(str, sorted(ahead)))}: Kafka has lost records",
            remedy="wundr store audit names them",
        )
    behind = sum(max(0, end - health.next.get(number, 0)) for number, end in ends.items())
    # What the sink has not read yet was sent, and is on its way.
    lost = health.unconfirmed if not behind else 0
    if lost:
        yield Finding(
            check="store",
            message=f"{lost:,} stored events stand neither in the outbox nor in store.events",
            remedy="wundr store audit names them",
        )
    if not ahead and not lost:
        yield Finding(
            check="store", message=f"{health.events:,} events stored, {behind:,} on their way"
        )
