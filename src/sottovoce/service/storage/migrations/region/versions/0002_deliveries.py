"""Deliveries (notifications and mails), and jobs whose media has to be fetched."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("fetch_attempts", sa.Integer))
    op.add_column("jobs", sa.Column("fetch_at", sa.BigInteger))
    op.add_column("jobs", sa.Column("whole_errors", sa.LargeBinary))
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("target", sa.LargeBinary, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("outcome", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("ix_deliveries_job_id", "deliveries", ["job_id"])
    op.create_index("deliveries_due", "deliveries", ["state", "next_at"])


def downgrade() -> None:
    op.drop_table("deliveries")
    op.drop_column("jobs", "whole_errors")
    op.drop_column("jobs", "fetch_at")
    op.drop_column("jobs", "fetch_attempts")
