"""Notifications, V1 callbacks and e-mails: stored in the outbox, sent until they are delivered or given up."""
