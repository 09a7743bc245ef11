"""The metrics of sinks, relays, Postgres projections and catch-up subscriptions."""

from typing import Final

from streams.metrics import Metric, counter, gauge, histogram

STORED: Final = counter("wundr_sink_stored_rows_total", "Events stored for the first time.")
REPEATED: Final = counter("wundr_sink_repeated_total", "Events that were stored already.")
SINK_LETTERS: Final = counter("wundr_sink_dead_letters_total", "Records that are no event.")
FENCED: Final = counter("wundr_sink_fenced_total", "Times that another sink took partitions over.")
SINK_INTERRUPTIONS: Final = counter(
    "wundr_sink_interruptions_total", "Times that Kafka or Postgres was away."
)
SINK_BATCH: Final = histogram("wundr_sink_batch_rows", "Records of a batch.")
SINK_NEXT: Final = gauge(
    "wundr_sink_next_offset", "The next offset that will be stored.", "partition"
)
SINK_LAG: Final = gauge(
    "wundr_sink_lag_records", "Archived records that are not stored yet.", "partition"
)
SINK_WAITING: Final = gauge("wundr_sink_waiting", "1 while Kafka or Postgres is waited for.")

OUTBOX_WAITING: Final = gauge("wundr_outbox_waiting_events", "Appended events not sent yet.")
OUTBOX_AGE: Final = gauge("wundr_outbox_oldest_seconds", "Age of the oldest event of the outbox.")
OUTBOX_HOLDER: Final = gauge(
    "wundr_outbox_holder_seconds", "Age of the oldest transaction that holds the outbox."
)
OUTBOX_HORIZON: Final = gauge(
    "wundr_outbox_horizon_seconds", "Age of the oldest transaction because of which dead rows stay."
)
RELAYED: Final = counter("wundr_relay_sent_total", "Appended events sent and acknowledged.")
RELAY_OWNED: Final = gauge("wundr_relay_shard_owned", "1 for a shard that is sent here.", "shard")
RELAY_EPOCH: Final = gauge(
    "wundr_relay_shard_epoch",
    "How often the shard had changed its owner, by its last claim.",
    "shard",
)
TAKEN_OVER: Final = counter("wundr_relay_taken_over_total", "Shards that another relay took over.")
RELAY_INTERRUPTIONS: Final = counter(
    "wundr_relay_interruptions_total", "Times that Kafka or Postgres was away."
)
RELAY_WAITING: Final = gauge("wundr_relay_waiting_shards", "Shards that cannot go on just now.")
RELAY_ALARM: Final = gauge("wundr_relay_alarms", "Alarms that the relay raises at the moment.")

PROJECTED: Final = counter(
    "wundr_projection_events_total", "Events folded into rows.", "app", "projection"
)
PROJECTION_BEHIND: Final = gauge(
    "wundr_projection_behind_records", "Stored records not folded yet.", "app", "projection"
)
PROJECTION_STATE: Final = gauge(
    "wundr_projection_state",
    "1 for the state that a projection is in, 0 for the others.",
    "app",
    "projection",
    "state",
)

CAUGHT_UP_EVENTS: Final = counter(
    "wundr_catch_up_events_total", "Events given by a catch-up subscription.", "subscription"
)
CATCH_UP_NEXT: Final = gauge(
    "wundr_catch_up_next_offset", "Where it goes on.", "subscription", "partition"
)
CATCH_UP_LIVE: Final = gauge(
    "wundr_catch_up_live", "1 once history is read and new events are.", "subscription", "partition"
)

METRICS: Final[tuple[Metric, ...]] = (
    *(STORED, REPEATED, SINK_LETTERS, FENCED, SINK_INTERRUPTIONS, SINK_BATCH, SINK_NEXT, SINK_LAG),
    *(SINK_WAITING, OUTBOX_WAITING, OUTBOX_AGE, OUTBOX_HOLDER, OUTBOX_HORIZON, RELAYED),
    *(RELAY_OWNED, RELAY_EPOCH, TAKEN_OVER, RELAY_INTERRUPTIONS, RELAY_WAITING, RELAY_ALARM),
    *(PROJECTED, PROJECTION_BEHIND, PROJECTION_STATE),
    *(CAUGHT_UP_EVENTS, CATCH_UP_NEXT, CATCH_UP_LIVE),
)
"""All of them."""
