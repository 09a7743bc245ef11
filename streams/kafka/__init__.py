"""The only door to aiokafka: sender, readers and the topic of writer schemas."""
