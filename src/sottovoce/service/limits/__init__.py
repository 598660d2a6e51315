"""Quotas of stored data and jobs, and the rate limits of requests."""
