-- The indexes of the table of the event store, but for those that none of these events goes into.
ALTER TABLE debezium_events ADD COLUMN sequence bigint GENERATED ALWAYS AS IDENTITY;
CREATE INDEX ON debezium_events (aggregate_id, sequence) WHERE aggregate_id IS NOT NULL;
CREATE INDEX ON debezium_events (correlationid) WHERE correlationid IS NOT NULL;
CREATE INDEX ON debezium_events ("timestamp", sequence);
CREATE INDEX ON debezium_events (type, "timestamp", sequence);
