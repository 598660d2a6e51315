"""The parsed request of each job, and indexes for the estimate of the queue, for quotas and for lists by reference."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("request", sa.LargeBinary))
    op.create_index("jobs_ended", "jobs", ["state", "finished_at"])
    op.create_index("jobs_quota", "jobs", ["workspace_id", "state", "media_bytes"])
    given = sa.text("client_ref IS NOT NULL")
    op.create_index(
        "jobs_refs",
        "jobs",
        ["project_id", "client_ref", "created_at", "id"],
        sqlite_where=given,
        postgresql_where=given,
    )


def downgrade() -> None:
    for name in ("jobs_refs", "jobs_quota", "jobs_ended"):
        op.drop_index(name, "jobs")
    op.drop_column("jobs", "request")
