"""Workers: what runs an app's subscription on Kafka. The only door to Faust."""
