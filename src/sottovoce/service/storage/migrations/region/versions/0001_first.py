"""Jobs, their log, the counter of V1 ids, and the workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    # inserted here, so that two concurrent first jobs wait for this row instead of failing
    op.execute("INSERT INTO counters (name, value) VALUES ('v1', 0)")
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("v1_id", sa.BigInteger, nullable=False, unique=True),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("workspace_id", sa.Integer, nullable=False),
        sa.Column("project_id", sa.Integer, nullable=False),
        sa.Column("user_id", sa.Integer),
        sa.Column("key_id", sa.Text),
        sa.Column("client_ref", sa.Text),
        sa.Column("api", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("operating_point", sa.Text, nullable=False),
        sa.Column("config", sa.LargeBinary),
        sa.Column("data_name", sa.Text, nullable=False),
        sa.Column("text_name", sa.Text),
        sa.Column("media_bytes", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("delete_at", sa.BigInteger),
        sa.Column("removed_at", sa.BigInteger),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("engine", sa.Text),
        sa.Column("result_key", sa.Text),
        sa.Column("errors", sa.JSON, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("idempotency_digest", sa.Text),
        sa.UniqueConstraint("project_id", "idempotency_key", name="jobs_idempotency"),
    )
    op.create_index("jobs_newest", "jobs", ["project_id", "created_at", "id"])
    op.create_index("jobs_due", "jobs", ["delete_at"])
    op.create_index("jobs_leases", "jobs", ["state", "lease_until"])
    op.create_table(
        "job_events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("ix_job_events_job_id", "job_events", ["job_id"])
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("capabilities", sa.JSON, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("workers")
    op.drop_table("job_events")
    op.drop_table("jobs")
    op.drop_table("counters")
