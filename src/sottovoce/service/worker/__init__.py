"""Runs queued work: jobs, deliveries, fetches and periodic tasks."""
