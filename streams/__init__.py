"""The flow: publish events, handle them, project them; on Kafka or in process."""
