-- Histories: what aggregates are read from, where catch-up subscriptions stand, who caused what.

CREATE INDEX events_causation ON events (causation_id) WHERE causation_id IS NOT NULL;

-- Pages are read in order of time, and any number of events may share a moment: with the sequence
-- in the indexes no page sorts them again.
CREATE INDEX events_time_order ON events ("timestamp", sequence);
DROP INDEX IF EXISTS events_time;
CREATE INDEX events_type_time_order ON events (type, "timestamp", sequence);
DROP INDEX IF EXISTS events_type_time;

-- The state of an aggregate at a version, so that its history need not be read from the beginning.
-- Derived: any row may be removed. `schema_version` is that of the state, not of an event.
CREATE TABLE snapshots (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    schema_version integer NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    state bytea NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (aggregate_type, aggregate_id, schema_version)
);

-- How far each catch-up subscription has come, in the partitions of one Kafka topic.
CREATE TABLE catch_up_checkpoints (
    subscription text COLLATE "C" NOT NULL,
    topic_id text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL CHECK (next >= 0),
    PRIMARY KEY (subscription, topic_id, partition)
);
