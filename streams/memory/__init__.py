"""A log in process: the same ports as Kafka, for tests and small services."""
