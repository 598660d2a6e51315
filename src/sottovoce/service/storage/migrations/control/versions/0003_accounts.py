"""Login, links in e-mails, and credits. Every key belongs to a user."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workspaces", sa.Column("balance", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("users", sa.Column("verified_at", sa.BigInteger))
    # V1 needs the user of a key; keys from the command line had none before this version
    op.execute(
        "UPDATE api_keys SET user_id = (SELECT min(users.id) FROM users JOIN projects"
        " ON projects.workspace_id = users.workspace_id WHERE projects.id = api_keys.project_id) WHERE user_id IS NULL"
    )
    op.create_table(
        "sessions",
        sa.Column("secret_sha256", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "mail_links",
        sa.Column("secret_sha256", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_mail_links_user_id", "mail_links", ["user_id"])
    op.create_table(
        "throttles",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_throttles_since", "throttles", ["since"])
    _credits()


def _credits() -> None:
    op.create_table(
        "credit_entries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("workspace_id", sa.Integer, sa.ForeignKey("workspaces.id"), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("region", sa.Text),
        sa.Column("job_id", sa.Text),
        sa.Column("round", sa.Integer, nullable=False, server_default="0"),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("region", "job_id", "kind", "round", name="credit_entries_once"),
    )
    op.create_index("credit_entries_newest", "credit_entries", ["workspace_id", "seq"])
    op.create_table(
        "credit_holds",
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Integer, sa.ForeignKey("workspaces.id"), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_credit_holds_at", "credit_holds", ["at"])


def downgrade() -> None:
    for table in ("credit_holds", "credit_entries", "throttles", "mail_links", "sessions"):
        op.drop_table(table)
    op.drop_column("users", "verified_at")
    op.drop_column("workspaces", "balance")
