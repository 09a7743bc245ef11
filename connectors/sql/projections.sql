-- Named queries of projections and of the history that they are folded from.

-- history_ends --
-- Up to where the sink has stored each partition: everything below is there, whole and in order.
SELECT topic_id, partition, next FROM sink_offsets ORDER BY partition

-- prefer_indexes --
-- A page is a range of an index: a plan that reads whole tables would be chosen by stale statistics.
SELECT
    set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    set_config('enable_seqscan', 'off', true)

-- history_page --
-- The wanted events of ranges of offsets, each at its first place only, in order.
SELECT positions.partition, positions."offset", events.framed
FROM unnest(%(partitions)s::integer[], %(starts)s::bigint[], %(ends)s::bigint[])
    AS span (partition, start, until)
JOIN event_positions AS positions
    ON positions.topic_id = %(topic_id)s
    AND positions.partition = span.partition
    AND positions."offset" >= span.start
    AND positions."offset" < span.until
JOIN events USING (event_id)
WHERE (
        %(first_types)s::text[] IS NULL
        OR EXISTS (
            SELECT FROM unnest(%(first_types)s::text[], %(last_types)s::text[])
                AS wanted (first_type, last_type)
            WHERE events.type >= wanted.first_type AND events.type <= wanted.last_type
        )
    )
    AND (%(since)s::timestamptz IS NULL OR events."timestamp" >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR events."timestamp" <= %(until)s)
    AND NOT EXISTS (
        -- By its id and by nothing else: without statistics a range of offsets looks as cheap.
        SELECT FROM event_positions AS earlier
        WHERE earlier.event_id = positions.event_id
            AND earlier.partition + 0 = positions.partition
            AND earlier."offset" + 0 < positions."offset"
            AND earlier.topic_id || '' = positions.topic_id
    )
ORDER BY positions.partition, positions."offset"

-- history_after_gap --
-- The next stored offset of a partition.
SELECT min("offset")
FROM event_positions
WHERE topic_id = %(topic_id)s AND partition = %(partition)s AND "offset" >= %(start)s

-- history_of_aggregate --
-- The wanted events of one aggregate up to a time or a version, in order.
SELECT framed
FROM events
WHERE aggregate_id = %(aggregate_id)s
    AND aggregate_type = %(aggregate_type)s
    AND (%(until)s::timestamptz IS NULL OR "timestamp" <= %(until)s)
ORDER BY aggregate_version NULLS LAST, sequence

-- history_by_ids --
-- Events by their ids, which are given as a JSON list.
SELECT framed
FROM events
WHERE event_id = ANY (ARRAY(SELECT jsonb_array_elements_text(%(event_ids)s::jsonb)))

-- register_projection --
-- Writes down where a projection is defined.
INSERT INTO projections (app, name, module)
VALUES (%(app)s, %(name)s, %(module)s)
ON CONFLICT (app, name) DO UPDATE SET module = excluded.module

-- lock_projection --
-- The pointer, held until the end of the transaction.
SELECT live, previous FROM projections WHERE app = %(app)s AND name = %(name)s FOR UPDATE

-- lock_projection_of_version --
-- The pointer again, found by a version: nobody moves it to the version meanwhile.
SELECT known.live
FROM projections AS known
JOIN projection_versions AS versions USING (app, name)
WHERE version_id = %(version_id)s
FOR UPDATE OF known

-- find_projections --
-- Projections by name, with their apps.
SELECT app, name, module, live, previous
FROM projections
WHERE (%(app)s::text IS NULL OR app = %(app)s) AND (%(name)s::text IS NULL OR name = %(name)s)
ORDER BY app, name

-- create_version --
-- A further version of a projection, with nothing in it; numbers are never used again.
WITH numbered AS (
    UPDATE projections
    SET last_version = last_version + 1
    WHERE app = %(app)s AND name = %(name)s
    RETURNING last_version
)
INSERT INTO projection_versions (app, name, version, revision)
SELECT %(app)s, %(name)s, last_version, %(revision)s FROM numbered
RETURNING version_id, version, revision

-- find_versions --
-- The versions of a projection, oldest first.
SELECT
    version_id, version, revision, leased_until > now() AS is_worked_on, failure
FROM projection_versions
WHERE app = %(app)s AND name = %(name)s
ORDER BY version

-- drop_versions --
-- Removes versions that are neither read nor kept to go back to, and that nobody works on.
WITH old AS (
    DELETE FROM projection_versions AS unused
    USING projections AS known
    WHERE unused.app = %(app)s
        AND unused.name = %(name)s
        AND known.app = unused.app
        AND known.name = unused.name
        AND unused.version IS DISTINCT FROM known.live
        AND unused.version IS DISTINCT FROM known.previous
        AND unused.leased_until <= now()
    RETURNING unused.version_id
)
DELETE FROM projection_rows USING old WHERE projection_rows.version_id = old.version_id

-- drop_version --
-- Removes one version that is not read.
WITH old AS (
    DELETE FROM projection_versions AS unused
    USING projections AS known
    WHERE unused.version_id = %(version_id)s
        AND known.app = unused.app
        AND known.name = unused.name
        AND unused.version IS DISTINCT FROM known.live
    RETURNING unused.version_id
)
DELETE FROM projection_rows USING old WHERE projection_rows.version_id = old.version_id

-- claim_version --
-- Takes a version over, unless somebody else has its lease.
UPDATE projection_versions
SET owner = %(owner)s,
    epoch = epoch + 1,
    leased_until = now() + make_interval(secs => %(lease_s)s),
    failure = NULL
WHERE version_id = %(version_id)s AND (leased_until <= now() OR owner = %(owner)s)
RETURNING epoch

-- ensure_checkpoints --
-- A checkpoint at the beginning of every partition that has none.
INSERT INTO projection_checkpoints (version_id, topic_id, partition, next)
SELECT %(version_id)s, topic_id, partition, 0 FROM sink_offsets
ON CONFLICT DO NOTHING

-- version_checkpoints --
-- Up to where a version is folded, in the topic that fills the store now.
SELECT topic_id, partition, checkpoints.next
FROM projection_checkpoints AS checkpoints
JOIN sink_offsets USING (topic_id, partition)
WHERE version_id = %(version_id)s

-- renew_lease --
-- The epoch's compare, and the lease anew: no row when somebody else has taken over.
UPDATE projection_versions
SET leased_until = now() + make_interval(secs => %(lease_s)s)
WHERE version_id = %(version_id)s AND epoch = %(epoch)s
RETURNING version_id

-- advance_checkpoints --
-- Compare-and-set of the checkpoints: a partition that is elsewhere is not returned.
UPDATE projection_checkpoints AS known
SET next = advance.next
FROM unnest(%(partitions)s::integer[], %(expected)s::bigint[], %(next)s::bigint[])
    AS advance (partition, expected, next)
WHERE known.version_id = %(version_id)s
    AND known.topic_id = %(topic_id)s
    AND known.partition = advance.partition
    AND known.next = advance.expected
RETURNING known.partition

-- write_rows --
-- The changed rows of a batch, as one JSON document: that is far cheaper to send than arrays.
INSERT INTO projection_rows (version_id, key, state, events, coverage)
SELECT %(version_id)s, changed.key, changed.state, changed.events, changed.coverage
FROM json_to_recordset(%(rows)s::json)
    AS changed (key text, state json, events bigint, coverage jsonb)
ON CONFLICT (version_id, key) DO UPDATE
SET state = excluded.state, events = excluded.events, coverage = excluded.coverage

-- read_rows --
-- The rows of some keys, which are given as a JSON list.
SELECT key, state::text, events, coverage::text
FROM projection_rows
WHERE version_id = %(version_id)s
    AND key = ANY (ARRAY(SELECT jsonb_array_elements_text(%(keys)s::jsonb)))

-- read_live_row --
-- One row of the version that is read.
SELECT rows.key, rows.state::text, rows.events, rows.coverage::text, versions.version
FROM projections AS known
JOIN projection_versions AS versions
    ON versions.app = known.app AND versions.name = known.name AND versions.version = known.live
JOIN projection_rows AS rows USING (version_id)
WHERE known.app = %(app)s AND known.name = %(name)s AND rows.key = %(key)s

-- stop_version --
-- Writes down the event at which a fold raised, and gives the version back.
UPDATE projection_versions
SET failure = %(failure)s::jsonb, leased_until = '-infinity'
WHERE version_id = %(version_id)s AND epoch = %(epoch)s

-- release_version --
-- Gives a version back before its lease is over.
UPDATE projection_versions
SET leased_until = '-infinity'
WHERE version_id = %(version_id)s AND epoch = %(epoch)s

-- lock_version --
-- Holds a version as it is: whoever folds it waits until the end of the transaction.
SELECT version_id FROM projection_versions WHERE version_id = %(version_id)s FOR UPDATE

-- compare_versions --
-- Rows that differ between two versions, the first ones of them by key, with how many there are.
SELECT
    coalesce(before.key, after.key),
    before.state::text,
    after.state::text,
    count(*) OVER ()
FROM (SELECT * FROM projection_rows WHERE version_id = %(before)s) AS before
FULL JOIN (SELECT * FROM projection_rows WHERE version_id = %(after)s) AS after USING (key)
-- Nearly all are the same text, and are not parsed.
WHERE before.state::text IS DISTINCT FROM after.state::text
    AND before.state::jsonb IS DISTINCT FROM after.state::jsonb
ORDER BY 1
LIMIT %(limit)s

-- count_rows --
-- How many rows a version has, and how many events they hold.
SELECT count(*), coalesce(sum(events), 0)::bigint
FROM projection_rows
WHERE version_id = %(version_id)s

-- switch_version --
-- Moves the pointer, if it still is where it was seen, to a version that is there and stays.
WITH wanted AS (
    SELECT version
    FROM projection_versions
    WHERE app = %(app)s AND name = %(name)s AND version = %(version)s
    FOR UPDATE
)
UPDATE projections
SET live = wanted.version, previous = live
FROM wanted
WHERE app = %(app)s AND name = %(name)s AND live IS NOT DISTINCT FROM %(expected)s
RETURNING live

-- wait_without_bound --
-- For one transaction: a comparison of many rows takes its time.
SELECT set_config('statement_timeout', '0', true)

-- live_checkpoints --
-- How far the version of each projection that is read has come, and whether its fold has stopped.
SELECT
    projections.app || '/' || projections.name,
    checkpoints.partition,
    checkpoints.next,
    versions.failure IS NOT NULL
FROM projections
JOIN projection_versions AS versions
    ON versions.app = projections.app
    AND versions.name = projections.name
    AND versions.version = projections.live
LEFT JOIN projection_checkpoints AS checkpoints
    ON checkpoints.version_id = versions.version_id
    AND checkpoints.topic_id = %(topic_id)s
ORDER BY 1, 2

-- projections_past_missing --
-- Projections whose version that is read has passed places which the store does not have.
SELECT DISTINCT projections.app || '/' || projections.name
FROM unnest(%(partitions)s::integer[], %(offsets)s::bigint[]) AS placed (partition, "offset")
JOIN projection_checkpoints AS checkpoints
    ON checkpoints.topic_id = %(topic_id)s
    AND checkpoints.partition = placed.partition
    AND checkpoints.next > placed."offset"
JOIN projection_versions AS versions USING (version_id)
JOIN projections
    ON projections.app = versions.app
    AND projections.name = versions.name
    AND projections.live = versions.version
WHERE NOT EXISTS (
    SELECT FROM event_positions AS known
    JOIN events USING (event_id)
    WHERE known.topic_id = %(topic_id)s
        AND known.partition = placed.partition
        AND known."offset" = placed."offset"
)
