"""Given, when, then: tests of aggregates, handlers and projections without a broker."""
