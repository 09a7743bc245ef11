-- Named queries of sagas: a line `-- name --`, one line of purpose, the statement.

-- begin_course --
-- Begins a course, unless it is there.
INSERT INTO sagas (app, saga, key, status) VALUES (%(app)s, %(saga)s, %(key)s, 'running')
ON CONFLICT (app, saga, key) DO NOTHING

-- lock_course --
-- A course, which nobody else changes until this transaction ends.
SELECT course, status, steps FROM sagas
WHERE app = %(app)s AND saga = %(saga)s AND key = %(key)s
FOR UPDATE

-- find_course --
-- A course as it is.
SELECT course, status, steps FROM sagas
WHERE app = %(app)s AND saga = %(saga)s AND key = %(key)s

-- taken_in --
-- What courses have taken in, each in order.
SELECT course, framed FROM saga_steps
WHERE course = ANY(%(courses)s::bigint[])
ORDER BY course, step

-- claim_due_deadlines --
-- Deadlines that are due, with their courses; those that somebody else has in hand are left out.
SELECT
    waiting.course, sagas.key, sagas.status, sagas.steps,
    waiting.name, waiting.set_by, waiting.due_at, waiting.failures
FROM saga_deadlines AS waiting
JOIN sagas USING (course)
WHERE waiting.app = %(app)s AND waiting.saga = %(saga)s AND waiting.next_at <= now()
    AND (%(until)s::timestamptz IS NULL OR waiting.due_at <= %(until)s)
ORDER BY waiting.next_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- next_due_deadline --
-- Seconds until the next deadline is to be looked at.
SELECT extract(epoch FROM next_at - clock_timestamp())::float8
FROM saga_deadlines
WHERE app = %(app)s AND saga = %(saga)s
ORDER BY next_at
LIMIT 1

-- store_saga_steps --
-- Steps of different courses with all that they change: deadlines and events on their way out.
WITH new AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(steps)s::json) AS sent (
        course bigint, step integer, cause_id text, base64 text, status text
    )
), taken AS (
    INSERT INTO saga_steps (course, step, cause_id, framed)
    SELECT course, step, cause_id, decode(base64, 'base64') FROM new
), changed AS (
    UPDATE sagas SET steps = new.step, status = new.status, changed_at = clock_timestamp()
    FROM new WHERE sagas.course = new.course
), gone AS (
    DELETE FROM saga_deadlines AS known
    USING json_to_recordset(%(gone)s::json) AS sent (course bigint, name text)
    WHERE known.course = sent.course AND (sent.name IS NULL OR known.name = sent.name)
), waiting AS (
    INSERT INTO saga_deadlines AS known (course, name, app, saga, set_by, due_at, next_at)
    SELECT
        course, name, %(app)s, %(saga)s, set_by, times.due_at, times.due_at
    FROM json_to_recordset(%(deadlines)s::json) AS sent (
        course bigint, name text, set_by text, after_s float8, at timestamptz
    ), LATERAL (
        SELECT coalesce(at, clock_timestamp() + make_interval(secs => after_s)) AS due_at
    ) AS times
    ON CONFLICT (course, name) DO UPDATE SET
        set_by = excluded.set_by, due_at = excluded.due_at, next_at = excluded.next_at,
        failures = 0, last_error = NULL
)
INSERT INTO outbox (
    shard, id, aggregatetype, aggregateid, type, payload, topic, key, traceparent
)
SELECT
    shard, id, aggregatetype, aggregateid, type, decode(base64, 'base64'), topic, key, traceparent
FROM json_to_recordset(%(events)s::json) AS sent (
    ordinal integer, shard smallint, id text, aggregatetype text, aggregateid text, type text,
    base64 text, topic text, key text, traceparent text
)
ORDER BY ordinal

-- put_off_deadlines --
-- Deadlines that the saga could not decide on are looked at later.
UPDATE saga_deadlines AS known SET
    failures = known.failures + 1,
    last_error = sent.error,
    next_at = clock_timestamp() + make_interval(secs => sent.delay_s)
FROM json_to_recordset(%(deadlines)s::json) AS sent (
    course bigint, name text, set_by text, error text, delay_s float8
)
WHERE known.course = sent.course AND known.name = sent.name AND known.set_by = sent.set_by

-- drop_deadlines --
-- Deadlines of courses that are over.
DELETE FROM saga_deadlines AS known
USING json_to_recordset(%(deadlines)s::json) AS sent (course bigint, name text)
WHERE known.course = sent.course AND known.name = sent.name

-- unknown_writer_schemas --
-- Which of these schemas are not kept yet.
SELECT wanted.id FROM unnest(%(ids)s::integer[]) AS wanted (id)
WHERE NOT EXISTS (SELECT FROM writer_schemas WHERE writer_schemas.id = wanted.id)
ORDER BY wanted.id

-- list_courses --
-- Courses with what they wait for, those that nothing has changed for the longest time first.
SELECT
    app, saga, key, status, steps, started_at, changed_at,
    coalesce((
        SELECT json_agg(json_build_object(
            'name', name, 'due_at', due_at, 'failures', failures, 'last_error', last_error
        ) ORDER BY due_at)
        FROM saga_deadlines WHERE saga_deadlines.course = sagas.course
    ), '[]'::json)
FROM sagas
WHERE (%(app)s::text IS NULL OR app = %(app)s)
    AND (%(saga)s::text IS NULL OR saga = %(saga)s)
    AND (%(key)s::text IS NULL OR key = %(key)s)
    AND (%(over)s OR status IN ('running', 'compensating'))
ORDER BY changed_at
LIMIT %(limit)s
