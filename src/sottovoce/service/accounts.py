"""Workspaces, users, projects and the keys that open them. Secrets are shown once and kept as SHA-256 digests."""

import hashlib
import secrets
import string
from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.service import tables as t
from sottovoce.service.database import now_ms

_ALPHABET = string.ascii_letters + string.digits
SECRET_LENGTH = 32  # 190 bits: a plain digest is enough, no slow hash is needed
MIN_SECRET = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a valid key speaks for. *client_ref* `None`: every job of the project."""

    key_id: str
    project_id: int
    workspace_id: int
    user_id: int | None
    client_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it may be shown: never its secret."""

    id: str
    name: str
    project_id: int
    created_at: int
    revoked_at: int | None


def new_secret() -> str:
    """A fresh secret of an API key."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))


def digest(secret: str) -> str:
    """What is stored instead of *secret*."""
    return hashlib.sha256(secret.encode()).hexdigest()


def bootstrap(connection: sa.Connection, secret: str) -> bool:
    """Workspace 1, user 1, its default project and a key with *secret*, unless there is a workspace already."""
    if connection.dialect.name == "postgresql":  # a fleet's processes start together, and each finds the tables empty
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7420063)"))
    if connection.execute(sa.select(t.workspaces.c.id).limit(1)).first():
        return False
    workspace = _inserted(connection, t.workspaces, name="default")
    user = _inserted(connection, t.users, workspace_id=workspace)
    project = _inserted(connection, t.projects, workspace_id=workspace, name="default", is_default=True)
    create_key(connection, project_id=project, user_id=user, name="first key", secret=secret)
    return True


def _inserted(connection: sa.Connection, table: sa.Table, **values: object) -> int:
    key = connection.execute(sa.insert(table).values(created_at=now_ms(), **values)).inserted_primary_key
    if key is None:
        raise RuntimeError(f"no key from {table.name}")
    return int(key[0])


def create_key(
    connection: sa.Connection, *, project_id: int, name: str, secret: str, user_id: int | None = None
) -> ApiKey:
    """A key with *secret* for *project_id*."""
    if len(secret) < MIN_SECRET or not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise ValueError(f"an API key is at least {MIN_SECRET} printable ASCII characters without blanks")
    key_id = secrets.token_hex(8)
    connection.execute(
        sa.insert(t.api_keys).values(
            id=key_id,
            project_id=project_id,
            user_id=user_id,
            name=name,
            secret_sha256=digest(secret),
            created_at=now_ms(),
        )
    )
    return next(key for key in list_keys(connection) if key.id == key_id)


def list_keys(connection: sa.Connection) -> list[ApiKey]:
    """Every key, oldest first."""
    columns = (t.api_keys.c[name] for name in ("id", "name", "project_id", "created_at", "revoked_at"))
    rows = connection.execute(sa.select(*columns).order_by(t.api_keys.c.created_at, t.api_keys.c.id))
    return [ApiKey(**row) for row in rows.mappings()]


def revoke_key(connection: sa.Connection, key_id: str) -> bool:
    """Make *key_id* worthless. False when there is no such key that still works."""
    statement = (
        sa.update(t.api_keys)
        .where(t.api_keys.c.id == key_id, t.api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now_ms())
    )
    return connection.execute(statement).rowcount == 1


def default_project(connection: sa.Connection) -> int:
    """The project that keys made on the command line belong to."""
    return int(connection.execute(sa.select(t.projects.c.id).where(t.projects.c.is_default).limit(1)).scalar_one())


def caller(connection: sa.Connection, secret_digest: str) -> Caller | None:
    """Whose key has *secret_digest*, if it still works."""
    statement = (
        sa.select(
            t.api_keys.c.id.label("key_id"),
            t.api_keys.c.project_id,
            t.projects.c.workspace_id,
            t.api_keys.c.user_id,
            t.api_keys.c.client_ref,
        )
        .join_from(t.api_keys, t.projects)
        .outerjoin(t.users, t.users.c.id == t.api_keys.c.user_id)
        .where(
            t.api_keys.c.secret_sha256 == secret_digest,
            t.api_keys.c.revoked_at.is_(None),
            t.projects.c.deleted_at.is_(None),
            t.users.c.disabled_at.is_(None),
        )
    )
    row = connection.execute(statement).mappings().first()
    return Caller(**row) if row else None
