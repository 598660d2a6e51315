"""Realtime sessions: who has how many at the moment."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "live_sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Integer, nullable=False),
        sa.Column("project_id", sa.Integer, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("process", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_live_sessions_lease_until", "live_sessions", ["lease_until"])
    op.create_index("live_sessions_of_project", "live_sessions", ["project_id", "lease_until"])


def downgrade() -> None:
    op.drop_table("live_sessions")
