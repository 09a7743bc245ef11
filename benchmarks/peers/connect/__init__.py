"""Debezium's JDBC sink as a peer: Kafka Connect on the packaged Java runtime."""
