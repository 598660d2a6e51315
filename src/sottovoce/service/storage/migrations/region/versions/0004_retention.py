"""The retention time of each job, usage, and shared token buckets."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind in (
        ("keep_ms", sa.BigInteger),
        ("read_at", sa.BigInteger),
        ("cleaned_at", sa.BigInteger),
        ("app", sa.Text),
    ):
        op.add_column("jobs", sa.Column(name, kind))
    op.create_index("jobs_removed", "jobs", ["removed_at", "cleaned_at"])
    op.create_table(
        "job_usage",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Integer, nullable=False),
        sa.Column("project_id", sa.Integer, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("operating_point", sa.Text, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("app", sa.Text),
        sa.Column("told_at", sa.BigInteger),
    )
    op.create_index("job_usage_days", "job_usage", ["workspace_id", "day"])
    op.create_index("ix_job_usage_told_at", "job_usage", ["told_at"])
    op.create_table(
        "buckets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("tokens", sa.Float, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_buckets_at", "buckets", ["at"])
    # counts the jobs that were done before this release, as far as their rows still exist
    op.execute(
        "INSERT INTO job_usage (job_id, workspace_id, project_id, day, type, language, operating_point, duration_ms)"
        " SELECT id, workspace_id, project_id, finished_at / 86400000, type, language, operating_point, duration_ms"
        " FROM jobs WHERE finished_at IS NOT NULL AND reason IS NULL"
    )


def downgrade() -> None:
    op.drop_table("buckets")
    op.drop_table("job_usage")
    op.drop_index("jobs_removed", "jobs")
    for name in ("app", "cleaned_at", "read_at", "keep_ms"):
        op.drop_column("jobs", name)
