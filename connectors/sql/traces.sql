-- The course of events: where they were stored, and when.

-- places_of_events --
-- When each event was stored, and every place of the store's topic that it was read from.
SELECT
    events.event_id,
    (extract(EPOCH FROM events.stored_at) * 1000)::bigint AS stored_ms,
    positions.partition,
    positions."offset"
FROM events
LEFT JOIN event_positions AS positions USING (event_id)
WHERE events.event_id = ANY(%(event_ids)s::text[])
ORDER BY events.event_id, positions.partition, positions."offset"
