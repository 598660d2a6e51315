"""The V1 requests of jobs, and mails that belong to no job."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("legacy", sa.LargeBinary))
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.alter_column("job_id", existing_type=sa.Text, nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM deliveries WHERE job_id IS NULL")
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.alter_column("job_id", existing_type=sa.Text, nullable=False)
    op.drop_column("jobs", "legacy")
