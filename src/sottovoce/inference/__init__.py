"""Warm child processes that run engines, and the pool that owns them."""
