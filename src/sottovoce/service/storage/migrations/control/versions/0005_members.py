"""The roles of users, invitations to a workspace, and an index for the audit log of one workspace."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # every user of an earlier release may do everything in the workspace, so each becomes an admin
    op.add_column("users", sa.Column("role", sa.Text, nullable=False, server_default="admin"))
    op.create_table(
        "invitations",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("workspace_id", sa.Integer, sa.ForeignKey("workspaces.id"), nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("secret_sha256", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("workspace_id", "email", name="invitations_once"),
    )
    op.create_index("ix_invitations_expires_at", "invitations", ["expires_at"])
    op.create_index("audit_log_newest", "audit_log", ["workspace_id", "seq"])


def downgrade() -> None:
    op.drop_index("audit_log_newest", "audit_log")
    op.drop_table("invitations")
    op.drop_column("users", "role")
