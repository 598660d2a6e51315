"""The durable queue behind a port: queues, workers and attempts. It does not depend on jobs."""
