"""API keys. A secret is shown once and stored as its SHA-256 digest.

Parts, in order:
- values: `Product`, `Caller` and `ApiKey`;
- secrets, and checks of names;
- statements that create, list and revoke keys;
- statements that find the caller of a key.
"""

import hashlib
import hmac
import secrets
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity.workspaces import Role, _inserted, open_workspace
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

_ALPHABET = string.ascii_letters + string.digits
SECRET_LENGTH = 32  # 190 bits: a plain digest is enough, no slow hash is needed
MIN_SECRET = 8
"""Characters of a secret that an operator chooses, at least."""
MAX_NAME = 120
"""Characters of a name (contract §13.2)."""
MAX_CLIENT_REF = 256
"""Characters of a `client_ref`."""
MAX_KEYS = 1000
"""Active keys of one project (contract §13.2 has a limit, and no figure)."""


class Product(StrEnum):
    """The API that a temporary key gives access to: its `type` (contract §13.2). `MANAGE` is only in a cookie of the portal."""

    BATCH = "batch"
    RT = "rt"
    MANAGE = "manage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The project, workspace and user of a valid key. *client_ref* `None`: the key sees every job of the project.

    *manages*: the key may read and change keys, projects and members of its workspace. A temporary key has a *token_id*, gives
    access to one *product* only, and was issued in a *region*; all three are `None` for a permanent key, which gives access to
    every product in the *regions* that serve its workspace (`None`: all regions).
    """

    key_id: str
    project_id: int
    workspace_id: int
    user_id: int | None
    client_ref: str | None = None
    manages: bool = False
    token_id: str | None = None
    product: Product | None = None
    region: str | None = None
    regions: tuple[str, ...] | None = None
    retention_ms: int | None = None  # ms for which the workspace keeps its jobs after their end

    @property
    def actor(self) -> str:
        """The id for logs: that of the key, and of the temporary key if one was used."""
        return self.key_id if self.token_id is None else f"{self.key_id}/{self.token_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without its secret. Instants are epoch ms."""

    id: str
    name: str
    project_id: int
    user_id: int | None
    client_ref: str | None
    manages: bool
    created_at: int
    revoked_at: int | None


def new_secret() -> str:
    """Return a new random secret for an API key."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))


def digest(secret: str) -> str:
    """Return the SHA-256 digest, in hex, that is stored instead of *secret*."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def checked(text: str, *, at: str, most: int = MAX_NAME) -> str:
    """Return *text*. Raises `Refused` if it has more than *most* characters, or contains control characters or line breaks."""
    if len(text) > most:
        raise Refused(Kind.INVALID_QUERY, f"{at} should be at most {most} chars long")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise Refused(Kind.INVALID_QUERY, f"{at} should hold no control characters")
    return text


def bootstrap(connection: sa.Connection, secret: str) -> bool:
    """Create workspace 1, user 1, the default project and a managing key with *secret*; False if a workspace exists already."""
    if connection.dialect.name == "postgresql":  # several processes that start together all find the tables empty
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7420063)"))
    if connection.execute(sa.select(t.workspaces.c.id).limit(1)).first():
        return False
    workspace, project = open_workspace(connection, "default")
    user = _inserted(connection, t.users, workspace_id=workspace)
    create_key(connection, project_id=project, user_id=user, name="first key", secret=secret, manages=True)
    return True


def create_key(
    connection: sa.Connection,
    *,
    project_id: int,
    name: str,
    secret: str,
    user_id: int | None = None,
    client_ref: str | None = None,
    manages: bool = False,
) -> ApiKey:
    """Create a key with *secret* for *project_id*. It belongs to *user_id*, else to the first user of the workspace (V1 needs one).

    A managing key belongs to an admin. Raises `Refused(FORBIDDEN)` when the project has `MAX_KEYS` keys, and for a managing key of
    a member; `ValueError` for an unsuitable secret.
    """
    if len(secret) < MIN_SECRET or not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise ValueError(f"an API key must have at least {MIN_SECRET} printable ASCII characters and no spaces")
    name = checked(name, at="name in body").strip()
    if client_ref is not None:  # not stripped: references that differ in spaces belong to different customers
        client_ref = checked(client_ref, at="client_ref in body", most=MAX_CLIENT_REF)
        if manages:
            raise Refused(
                Kind.FORBIDDEN, "a managing key cannot have a client_ref, since it could remove it; create two keys"
            )
    if user_id is None:
        user_id = _first_user(connection, project_id, admin=manages)
    if manages and not _is_admin(connection, user_id):
        raise Refused(
            Kind.FORBIDDEN,
            f"user {user_id} is a member, and a managing key needs an admin; `sottovoce users role` makes the user one",
        )
    _check_key_count(connection, project_id)
    key_id = secrets.token_hex(8)
    connection.execute(
        sa.insert(t.api_keys).values(
            id=key_id,
            project_id=project_id,
            user_id=user_id,
            name=name,
            secret_sha256=digest(secret),
            client_ref=client_ref,
            manages=manages,
            created_at=now_ms(),
        )
    )
    return _key(connection.execute(_keys().where(t.api_keys.c.id == key_id)).mappings().one())


def _is_admin(connection: sa.Connection, user_id: int | None) -> bool:
    """True also without a user: such a key was made before keys had users."""
    role = connection.scalar(sa.select(t.users.c.role).where(t.users.c.id == user_id))
    return role is None or role == Role.ADMIN


def _first_user(connection: sa.Connection, project_id: int, *, admin: bool) -> int | None:
    """Return the oldest user of the project's workspace, enabled users first, with *admin* admins first; `None` if none."""
    statement = (
        sa.select(t.users.c.id)
        .join_from(t.users, t.projects, t.projects.c.workspace_id == t.users.c.workspace_id)
        .where(t.projects.c.id == project_id)
        .order_by(
            *([t.users.c.role != Role.ADMIN.value] if admin else []),
            t.users.c.disabled_at.is_not(None),
            t.users.c.id,
        )
    )
    return connection.scalar(statement.limit(1))


def _check_key_count(connection: sa.Connection, project_id: int) -> None:
    """Raise `Refused` if the project has `MAX_KEYS` keys. Locks the project's row, so that concurrent calls count in turn."""
    connection.execute(sa.select(t.projects.c.id).where(t.projects.c.id == project_id).with_for_update())
    mine = (t.api_keys.c.project_id == project_id, t.api_keys.c.revoked_at.is_(None))
    if connection.execute(sa.select(sa.func.count()).where(*mine)).scalar_one() >= MAX_KEYS:
        raise Refused(Kind.FORBIDDEN, f"the project has {MAX_KEYS} keys, which is the maximum; delete some first")


def _keys() -> sa.Select[Any]:
    """Select keys; *manages* is what the key may do now, as in `_MANAGES`."""
    of_member = sa.exists().where(t.users.c.id == t.api_keys.c.user_id, t.users.c.role != Role.ADMIN.value)
    manages = sa.and_(t.api_keys.c.manages, ~of_member).label("manages")
    columns = (t.api_keys.c[name] for name in ApiKey.__dataclass_fields__ if name != "manages")
    return sa.select(*columns, manages)


def _key(row: Any) -> ApiKey:
    return ApiKey(**row)


def list_keys(
    connection: sa.Connection,
    *,
    workspace_id: int | None = None,
    project_id: int | None = None,
    user_id: int | None = None,
    working: bool = False,
) -> list[ApiKey]:
    """Return keys, oldest first, filtered by workspace, project and user if given; *working*: only active ones."""
    statement = _keys().join_from(t.api_keys, t.projects).order_by(t.api_keys.c.created_at, t.api_keys.c.id)
    if workspace_id is not None:
        statement = statement.where(t.projects.c.workspace_id == workspace_id)
    if project_id is not None:
        statement = statement.where(t.api_keys.c.project_id == project_id)
    if user_id is not None:
        statement = statement.where(t.api_keys.c.user_id == user_id)
    if working:
        statement = statement.where(t.api_keys.c.revoked_at.is_(None), t.projects.c.deleted_at.is_(None))
    return [_key(row) for row in connection.execute(statement).mappings()]


def revoke_key(
    connection: sa.Connection, key_id: str, *, workspace_id: int | None = None, user_id: int | None = None
) -> bool:
    """Revoke *key_id*, and with it every temporary key that was issued for it.

    False if there is no such active key (of the workspace and the user, if given).
    """
    statement = (
        sa.update(t.api_keys)
        .where(t.api_keys.c.id == key_id, t.api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now_ms())
    )
    if workspace_id is not None:
        mine = sa.select(t.projects.c.id).where(t.projects.c.workspace_id == workspace_id)
        statement = statement.where(t.api_keys.c.project_id.in_(mine))
    if user_id is not None:
        statement = statement.where(t.api_keys.c.user_id == user_id)
    return connection.execute(statement).rowcount == 1


def workspace_of(connection: sa.Connection, key_id: str) -> int | None:
    """Return the workspace of the key *key_id*, also of a revoked one; `None` if there is no such key."""
    return connection.scalar(
        sa.select(t.projects.c.workspace_id)
        .join_from(t.api_keys, t.projects, t.projects.c.id == t.api_keys.c.project_id)
        .where(t.api_keys.c.id == key_id)
    )


def default_project(connection: sa.Connection, workspace_id: int | None = None) -> int:
    """Return the default project of *workspace_id*, else of the first workspace: the command line creates keys there."""
    statement = sa.select(t.projects.c.id).where(t.projects.c.is_default).order_by(t.projects.c.id)
    if workspace_id is not None:
        statement = statement.where(t.projects.c.workspace_id == workspace_id)
    return int(connection.execute(statement.limit(1)).scalar_one())


_PROJECT = t.projects.alias("project")
"""The project that a key is used in; `projects` is the one that it belongs to."""
_MANAGES = sa.and_(t.api_keys.c.manages, sa.or_(t.users.c.id.is_(None), t.users.c.role == Role.ADMIN.value))
"""A key has management rights only while its user is an admin. A key without a user was made before keys had users."""


def caller(connection: sa.Connection, secret_digest: str) -> Caller | None:
    """Return the caller of the active key with *secret_digest*; `None` if there is none."""
    theirs = (t.api_keys.c.secret_sha256 == secret_digest, _PROJECT.c.id == t.api_keys.c.project_id)
    statement = _callers().add_columns(t.api_keys.c.secret_sha256).where(*theirs)
    row = connection.execute(statement).mappings().first()
    if row is None or not hmac.compare_digest(row["secret_sha256"], secret_digest):
        return None
    return _caller({name: value for name, value in row.items() if name != "secret_sha256"})


def holder(connection: sa.Connection, key_id: str, project_id: int) -> Caller | None:
    """Return the caller of *key_id* in *project_id*; `None` if it has no access there.

    An active key has access to its own project; a managing key of an admin has access to every project of its workspace.
    """
    theirs = (
        t.api_keys.c.id == key_id,
        _PROJECT.c.id == project_id,
        sa.or_(_PROJECT.c.id == t.api_keys.c.project_id, _MANAGES),
    )
    row = connection.execute(_callers().where(*theirs)).mappings().first()
    return _caller(row) if row else None


def _caller(row: Mapping[Any, Any]) -> Caller:
    return Caller(**{**row, "regions": None if row["regions"] is None else tuple(row["regions"])})


def _callers() -> sa.Select[Any]:
    """Select active keys, each joined with every project of its workspace."""
    return (
        sa.select(
            t.api_keys.c.id.label("key_id"),
            _PROJECT.c.id.label("project_id"),
            _PROJECT.c.workspace_id,
            t.api_keys.c.user_id,
            t.api_keys.c.client_ref,
            _MANAGES.label("manages"),
            t.workspaces.c.regions,
            t.workspaces.c.retention_ms,
        )
        .select_from(t.api_keys)
        .join(t.projects, t.projects.c.id == t.api_keys.c.project_id)
        .join(_PROJECT, _PROJECT.c.workspace_id == t.projects.c.workspace_id)
        .join(t.workspaces, t.workspaces.c.id == _PROJECT.c.workspace_id)
        .outerjoin(t.users, t.users.c.id == t.api_keys.c.user_id)
        .where(
            t.api_keys.c.revoked_at.is_(None),
            t.projects.c.deleted_at.is_(None),
            _PROJECT.c.deleted_at.is_(None),
            t.users.c.disabled_at.is_(None),
        )
    )
