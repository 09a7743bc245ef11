"""Databases at the edge of the flow: the event store in Postgres and the sink that fills it."""
