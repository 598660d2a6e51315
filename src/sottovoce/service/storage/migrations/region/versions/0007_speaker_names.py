"""The names that people gave to the speakers of a job."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("speaker_names", sa.LargeBinary))


def downgrade() -> None:
    op.drop_column("jobs", "speaker_names")
