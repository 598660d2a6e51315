"""Durable state and the work that must not be lost: databases, blobs, the queue and what runs from it."""
