"""The metrics that workers give, and those that every process gives.

No label ever holds an id of an event, an aggregate or a person: a series lives as long as its label
values are new, and a million of them end a Prometheus.
"""

from typing import Final

from streams.metrics import Metric, counter, gauge, histogram

READY: Final = gauge("wundr_ready", "Whether /ready answers 200.")
CHECK_OK: Final = gauge("wundr_check_ok", "Whether a check of /ready passes.", "check")

RECORDS: Final = counter(
    "wundr_records_total", "Records whose work is done, unwanted ones included.", "subscription"
)
EVENTS: Final = counter(
    "wundr_events_total", "Events delivered to handlers and projections.", "subscription", "type"
)
HANDLED: Final = counter(
    "wundr_handled_events_total", "Events delivered to a handler.", "subscription", "handler"
)
HANDLER_SECONDS: Final = histogram(
    "wundr_handler_seconds",
    "Time that a handler takes for an event; of those that do not wait, a sample.",
    "subscription",
    "handler",
)
FAILURES: Final = counter(
    "wundr_handler_failures_total", "Tries that raised.", "subscription", "handler"
)
FAILURE_RATIO: Final = gauge(
    "wundr_handler_failure_ratio",
    "Share of tries that raised, since the start.",
    "subscription",
    "handler",
)
RETRIES: Final = counter(
    "wundr_handler_retries_total",
    "Tries beyond the first, or due.",
    "subscription",
    "handler",
)
DEAD_LETTERS: Final = counter(
    "wundr_dead_letters_total",
    "Events given up by a handler, again when an ordered try was in vain.",
    "subscription",
    "handler",
)
PARKED: Final = gauge(
    "wundr_parked_events",
    "Failed events that wait for another try, are parked, or stand behind one of these.",
    "subscription",
    "state",
)
BREAKER: Final = gauge(
    "wundr_breaker_state",
    "1 for the state that a breaker is in, 0 for the others.",
    "breaker",
    "state",
)
LAG_RECORDS: Final = gauge(
    "wundr_lag_records",
    "Records of assigned partitions whose work is not done.",
    "subscription",
    "topic",
    "priority",
)
LAG_SECONDS: Final = gauge(
    "wundr_lag_seconds",
    "Age of the oldest record whose work is not done.",
    "subscription",
    "topic",
    "priority",
)
WAIT_SECONDS: Final = histogram(
    "wundr_wait_seconds",
    "Time from a record's timestamp to the begin of its work.",
    "subscription",
    "priority",
)
UNFINISHED: Final = gauge(
    "wundr_unfinished_records", "Records that wait in memory or are in work.", "subscription"
)
ASSIGNED: Final = gauge("wundr_assigned_partitions", "Partitions of this process.", "subscription")
PAUSED: Final = gauge(
    "wundr_paused", "1 while a subscription waits for infrastructure.", "subscription"
)
DEADLINES_FIRED: Final = counter(
    "wundr_deadlines_fired_total", "Deadlines of sagas that this process has fired.", "subscription"
)
DEADLINE_FAILURES: Final = counter(
    "wundr_deadline_failures_total",
    "Deadlines that a saga could not decide on, which are tried again later.",
    "subscription",
)
DEADLINES_PAUSED: Final = gauge(
    "wundr_deadlines_paused", "1 while the database that keeps deadlines is away.", "subscription"
)
TABLE_ENTRIES: Final = gauge(
    "wundr_table_entries", "Entries of a table's partitions here.", "subscription", "table"
)
TABLE_RECOVERED: Final = gauge(
    "wundr_table_recovered_records",
    "Changelog records passed by the last recovery.",
    "subscription",
    "table",
)
TABLE_RECOVERY: Final = gauge(
    "wundr_table_recovery_records",
    "Changelog records that the last recovery had to pass.",
    "subscription",
    "table",
)
CHANGELOG_RECORDS: Final = counter(
    "wundr_changelog_records_total", "Changelog records written.", "subscription", "table"
)
TABLE_BATCH: Final = histogram(
    "wundr_table_batch_events", "Events folded between two writes.", "subscription"
)
SENT: Final = counter("wundr_publish_sent_total", "Records taken to be sent.")
ACKNOWLEDGED: Final = counter(
    "wundr_publish_acknowledged_total", "Records that the broker has on all replicas."
)
NOT_SENT: Final = counter("wundr_publish_failed_total", "Records given up or refused.")
WAITING: Final = gauge("wundr_publish_waiting", "Records sent and not acknowledged.")

METRICS: Final[tuple[Metric, ...]] = (
    *(READY, CHECK_OK, RECORDS, EVENTS, HANDLED, HANDLER_SECONDS, FAILURES, FAILURE_RATIO),
    *(RETRIES, DEAD_LETTERS, PARKED, BREAKER, LAG_RECORDS, LAG_SECONDS),
    *(WAIT_SECONDS, UNFINISHED, ASSIGNED, PAUSED, TABLE_ENTRIES, TABLE_RECOVERED, TABLE_RECOVERY),
    *(CHANGELOG_RECORDS, TABLE_BATCH, SENT, ACKNOWLEDGED, NOT_SENT, WAITING),
    *(DEADLINES_FIRED, DEADLINE_FAILURES, DEADLINES_PAUSED),
)
"""All of them: what dashboards and alerts may ask for."""
