-- What the connector would make of a flat event, made beforehand: two tasks that make it at once
-- fail. Text is compared byte by byte, as in the table of the event store.
CREATE TABLE debezium_events (
    id text COLLATE "C" PRIMARY KEY,
    type text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    priority text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    "timestamp" timestamp(6) NOT NULL,
    source text NOT NULL,
    correlationid text COLLATE "C",
    causationid text COLLATE "C",
    aggregate_type text COLLATE "C",
    aggregate_id text COLLATE "C",
    aggregate_version bigint,
    data_repository text NOT NULL,
    data_projectid text NOT NULL,
    data_files integer NOT NULL,
    data_bytes bigint NOT NULL
);
