-- Appends: which command brought an event about, and the outbox from which it reaches Kafka.

ALTER TABLE events ADD COLUMN command_id text COLLATE "C";

CREATE INDEX events_command ON events (command_id, aggregate_id, aggregate_type)
    WHERE command_id IS NOT NULL;

-- Events on their way to Kafka, written in the transaction that appends them and deleted when Kafka
-- has acknowledged them. id, aggregatetype, aggregateid, type and payload are the columns of
-- Debezium's outbox event router; topic, key and traceparent complete the record.
CREATE TABLE outbox (
    -- The order in which a shard is sent. Version 2 of an aggregate is inserted by a statement that
    -- has seen version 1 committed, so its position is higher, and whoever sees it sees both.
    position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
    shard smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    aggregatetype text COLLATE "C" NOT NULL,
    aggregateid text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    payload bytea NOT NULL,
    topic text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    traceparent text COLLATE "C" NOT NULL,
    appended_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shard, position)
) WITH (
    -- A queue: rows live for milliseconds, and dead ones stand in the way of its head.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

-- Who may delete from a shard of the outbox. A relay that takes over raises the epoch, which
-- refuses every later deletion of the one before it; `renewed_at` tells a frozen relay.
CREATE TABLE outbox_shards (
    shard smallint PRIMARY KEY,
    epoch bigint NOT NULL CHECK (epoch > 0),
    renewed_at timestamptz NOT NULL
);

-- Writer schemas of appended events. The relay announces them in `wundr.schemas`, so it need not
-- know the release that appended.
CREATE TABLE writer_schemas (
    id integer PRIMARY KEY,
    composed text NOT NULL
);
