"""Kafka Streams as a peer: Java sources, compiled and run on the packaged Java runtime."""
