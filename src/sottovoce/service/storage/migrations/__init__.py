"""Alembic revisions of the two databases, packaged."""
