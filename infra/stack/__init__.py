"""Kafka and PostgreSQL for one working folder: started, found again, stopped."""
