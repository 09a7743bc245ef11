-- The event store: events as they were on the wire, with the columns that queries need.

CREATE TABLE events (
    event_id text COLLATE "C" PRIMARY KEY,
    type text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    priority smallint NOT NULL,
    schema_version text COLLATE "C" NOT NULL,
    schema_id integer NOT NULL,
    "timestamp" timestamptz NOT NULL,
    source text NOT NULL,
    correlation_id text COLLATE "C",
    causation_id text COLLATE "C",
    aggregate_type text COLLATE "C",
    aggregate_id text COLLATE "C",
    aggregate_version bigint,
    user_id text COLLATE "C",
    trace_id text COLLATE "C",
    -- Framed Avro exactly as it was read: the truth. Every other column is derived from it.
    framed bytea NOT NULL,
    -- For people who query with SQL; null where JSON cannot hold the data.
    data jsonb,
    -- Orders the events of one aggregate, which has one writer at a time. Not a cursor: a
    -- transaction that commits late would be skipped.
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    stored_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX events_aggregate_version
    ON events (aggregate_type, aggregate_id, aggregate_version)
    WHERE aggregate_version IS NOT NULL;
CREATE INDEX events_aggregate ON events (aggregate_id, sequence) WHERE aggregate_id IS NOT NULL;
CREATE INDEX events_correlation ON events (correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX events_type_time ON events (type, "timestamp");
CREATE INDEX events_time ON events ("timestamp");

-- Where in Kafka each event was read: the cursor of readers. Topic ids tell clusters apart.
CREATE TABLE event_positions (
    topic_id text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (topic_id, partition, "offset")
);

-- How far the sink has come, written in the same transaction as the events. A sink that takes
-- over a partition raises its epoch, which refuses every later write of the one before it.
CREATE TABLE sink_offsets (
    topic_id text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL CHECK (next >= 0),
    epoch bigint NOT NULL CHECK (epoch > 0),
    PRIMARY KEY (topic_id, partition)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only, % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'WU001';
END
$$;

CREATE TRIGGER events_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER event_positions_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON event_positions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
