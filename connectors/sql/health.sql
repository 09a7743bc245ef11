-- Quick looks at the event store, for whoever asks what is wrong.

-- store_counts --
-- How many events there are, about when many; and those of over a minute ago that nobody sent.
SELECT
    (
        SELECT CASE
            WHEN reltuples > 100000 THEN reltuples::bigint
            ELSE (SELECT count(*) FROM (SELECT FROM events LIMIT 100001) AS counted)
        END
        FROM pg_class
        WHERE oid = 'events'::regclass
    ),
    (
        SELECT count(*)
        FROM events
        WHERE events.stored_at < now() - interval '1 minute'
            AND events.stored_at > now() - interval '7 days'
            AND NOT EXISTS (
                SELECT FROM event_positions WHERE event_positions.event_id = events.event_id
            )
            AND NOT EXISTS (SELECT FROM outbox WHERE outbox.id = events.event_id)
    )

-- store_progress --
-- How far each partition of the store's topic is stored.
SELECT topic_id, partition, next FROM sink_offsets
