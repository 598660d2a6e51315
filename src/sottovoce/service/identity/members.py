"""The users of a workspace as its admins change them: roles and disabling.

A workspace keeps an admin that can act, i.e. that can log in or has a managing key. Each change counts these admins in its own
transaction, after it has locked the row of the workspace, so that of two concurrent changes the second sees the first.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import users
from sottovoce.service.identity.users import User
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.storage import schema as t

MOST = 1000
"""Users and open invitations of one workspace together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changes about a member; `None`: stays."""

    role: Role | None = None
    disabled: bool | None = None


def get(connection: sa.Connection, workspace_id: int, user_id: int) -> User:
    """Return the user. Raises `Refused(PAGE_NOT_FOUND)` if the workspace has no such user."""
    user = users.get(connection, user_id)
    if user is None or user.workspace_id != workspace_id:
        raise Refused(Kind.PAGE_NOT_FOUND, "no such member")
    return user


def lock(connection: sa.Connection, workspace_id: int) -> None:
    """Make other changes to the members of *workspace_id* wait until this transaction ends.

    On SQLite every writing transaction waits for the one before it.
    """
    connection.execute(sa.select(t.workspaces.c.id).where(t.workspaces.c.id == workspace_id).with_for_update())


def change(connection: sa.Connection, workspace_id: int, user_id: int, wanted: Change) -> User:
    """Apply *wanted* to the user, and return the changed user.

    Raises `Refused`: `PAGE_NOT_FOUND` for a user of another workspace, `FORBIDDEN` if the workspace would lose its last admin.
    """
    lock(connection, workspace_id)
    user = get(connection, workspace_id, user_id)
    before = acting_admins(connection, workspace_id)
    if wanted.role is not None:
        user = users.set_role(connection, user, wanted.role)
    if wanted.disabled is not None:
        (users.disable if wanted.disabled else users.readmit)(connection, user)
        user = get(connection, workspace_id, user_id)
    if before and not acting_admins(connection, workspace_id):  # the transaction is rolled back
        raise Refused(Kind.FORBIDDEN, "this is the last admin of the workspace; make another member an admin first")
    return user


def acting_admins(connection: sa.Connection, workspace_id: int) -> set[int]:
    """Return the ids of the admins who can log in, or who have a managing key that is valid."""
    can_log_in = sa.and_(t.users.c.password_hash.is_not(None), t.users.c.verified_at.is_not(None))
    has_key = sa.exists().where(
        t.api_keys.c.user_id == t.users.c.id,
        t.api_keys.c.manages,
        t.api_keys.c.revoked_at.is_(None),
        t.projects.c.id == t.api_keys.c.project_id,
        t.projects.c.deleted_at.is_(None),
    )
    theirs: list[Any] = [
        t.users.c.workspace_id == workspace_id,
        t.users.c.role == Role.ADMIN.value,
        t.users.c.disabled_at.is_(None),
        sa.or_(can_log_in, has_key),
    ]
    return set(connection.scalars(sa.select(t.users.c.id).where(*theirs)))
