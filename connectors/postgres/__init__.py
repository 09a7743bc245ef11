"""PostgreSQL behind the ports of the platform: the only place that imports its driver."""
