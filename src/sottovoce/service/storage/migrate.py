"""Schema migration with Alembic. The tables of the queue are upgraded by `service/queue/backend.py`."""

from importlib import resources
from typing import Any

import sqlalchemy as sa

from sottovoce.service.storage.database import Database

CONTROL = "control"
REGION = "region"


def _config(branch: str, connection: sa.Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("sottovoce.service.storage.migrations") / branch))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    # control and region may share one PostgreSQL database, so each keeps its own version
    config.attributes["version_table"] = f"sottovoce_{branch}_version"
    return config


def run(context: Any) -> None:
    """Run the revisions on the connection in the context's attributes; both `env.py` call it."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"], version_table=attributes["version_table"], transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


def upgrade(database: Database, branch: str) -> None:
    """Run every revision of *branch* that *database* lacks. Concurrent calls are safe on SQLite and PostgreSQL."""
    from alembic import command

    with database.writing() as connection:
        if not database.embedded:
            connection.execute(sa.text("SET LOCAL lock_timeout = 0"))  # another process may migrate for minutes
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7420061)"))
        command.upgrade(_config(branch, connection), "head")


def current(database: Database, branch: str) -> tuple[str | None, str | None]:
    """Return the revision of *database*, and the one that this release needs."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": f"sottovoce_{branch}_version"})
        wanted = ScriptDirectory.from_config(_config(branch, connection)).get_current_head()
        return context.get_current_revision(), wanted
