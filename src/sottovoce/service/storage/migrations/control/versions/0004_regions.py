"""The regions and the retention time of workspaces, and usage."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workspaces", sa.Column("retention_ms", sa.BigInteger))
    op.add_column("workspaces", sa.Column("regions", sa.JSON))
    op.create_table(
        "usage",
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Integer, nullable=False),
        sa.Column("project_id", sa.Integer, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("operating_point", sa.Text, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("app", sa.Text),
    )
    op.create_index("usage_days", "usage", ["workspace_id", "day"])


def downgrade() -> None:
    op.drop_table("usage")
    op.drop_column("workspaces", "regions")
    op.drop_column("workspaces", "retention_ms")
