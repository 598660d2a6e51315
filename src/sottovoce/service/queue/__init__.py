"""Durable work behind a port. It knows queues, workers and attempts, and nothing of jobs."""
