"""Notifications, V1 callbacks and e-mails: stored in the outbox, and sent until they are delivered or have failed."""
