"""Given, when, then: tests of aggregates, handlers, projections and sagas without a broker."""
