"""User accounts. A new account has its own workspace with a default project, unless it joins an existing workspace.

An address is *verified* once its user has followed a link sent to it, or an operator has confirmed it.

Parts, in order:
- `User` and `Credentials`;
- statements that find users;
- statements that create, change and remove users.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import email_links, sessions, workspaces
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import DAY_MS, now_ms
from sottovoce.wire.email_address import mail_address

MAX_EMAIL = 254
"""Characters of an address that mail servers accept (RFC 5321 §4.5.3.1.3, less the brackets)."""
UNVERIFIED_DAYS = 7
"""Days after which an account that was never verified is removed with its workspace."""
OWNER = 1
"""The id of the user of the first key, whom the first start makes without an address."""
BATCH = 100
"""Unverified accounts that one registration removes, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user without the password. Instants are epoch ms. A user without *email* can have keys, but cannot log in."""

    id: int
    workspace_id: int
    email: str | None
    created_at: int
    disabled_at: int | None
    verified_at: int | None
    role: Role = Role.ADMIN

    @property
    def actor(self) -> str:
        """The id for the audit log."""
        return f"user {self.id}"

    @property
    def state(self) -> str:
        """`disabled`, `unverified` or `active`."""
        if self.disabled_at is not None:
            return "disabled"
        return "unverified" if self.email is not None and self.verified_at is None else "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user, and the hash of the password."""

    user: User
    password_hash: str | None = field(repr=False)


def normal(email: str, *, at: str = "email") -> str:
    """Return *email* in the form in which it is stored and searched: stripped and in lower case. Raises `Refused`."""
    email = email.strip().lower()
    try:
        mail_address(email)
    except ValueError:
        email = ""
    if not email or len(email) > MAX_EMAIL:
        raise Refused(Kind.BAD_REQUEST, "must be an e-mail address", at=at)
    return email


# ── finding users ──


def _users() -> sa.Select[Any]:
    return sa.select(*(t.users.c[name] for name in User.__dataclass_fields__))


def _user(row: Mapping[Any, Any]) -> User:
    return User(**{**row, "role": Role(row["role"])})


def get(connection: sa.Connection, user_id: int) -> User | None:
    """Return the user *user_id*; `None` if there is none."""
    if not 0 < user_id < 1 << 31:  # the range of the column
        return None
    row = connection.execute(_users().where(t.users.c.id == user_id)).mappings().first()
    return _user(row) if row else None


def any_can_log_in(connection: sa.Connection) -> bool:
    """True if a user has an address and a password."""
    theirs = (t.users.c.email.is_not(None), t.users.c.password_hash.is_not(None), t.users.c.disabled_at.is_(None))
    return connection.execute(sa.select(t.users.c.id).where(*theirs).limit(1)).first() is not None


def by_email(connection: sa.Connection, email: str) -> User | None:
    """Return the user with *email*, an address as `normal` returns it; `None` if there is none."""
    row = connection.execute(_users().where(t.users.c.email == email)).mappings().first()
    return _user(row) if row else None


def find(connection: sa.Connection, who: str) -> User | None:
    """Return the user whose id or address is *who*, as a person types it; `None` if there is none."""
    if who.isascii() and who.isdigit():
        return get(connection, int(who[:18]))
    try:
        return by_email(connection, normal(who))
    except Refused:
        return None


def listed(connection: sa.Connection, workspace_id: int | None = None) -> list[User]:
    """Return every user, oldest first; only those of *workspace_id* if it is given."""
    statement = _users().order_by(t.users.c.id)
    if workspace_id is not None:
        statement = statement.where(t.users.c.workspace_id == workspace_id)
    return [_user(row) for row in connection.execute(statement).mappings()]


def credentials(connection: sa.Connection, user: User | None) -> Credentials | None:
    """Return *user* as stored now, with the hash of the password; `None` if *user* is `None` or was removed."""
    if user is None:
        return None
    statement = _users().add_columns(t.users.c.password_hash).where(t.users.c.id == user.id)
    row = connection.execute(statement).mappings().first()
    if row is None:
        return None
    shown = {name: row[name] for name in User.__dataclass_fields__}
    return Credentials(user=_user(shown), password_hash=row["password_hash"])


def balance(connection: sa.Connection, user: User) -> int:
    """Return the credits of the user's workspace."""
    statement = sa.select(t.workspaces.c.balance).where(t.workspaces.c.id == user.workspace_id)
    return int(connection.execute(statement).scalar_one())


# ── creating, changing and removing users ──


def add(
    connection: sa.Connection,
    *,
    email: str,
    password_hash: str | None,
    verified: bool,
    workspace_id: int | None = None,
    role: Role = Role.ADMIN,
) -> User:
    """Create a user of *workspace_id*, else of a new workspace. *email* is an address as `normal` returns it.

    The user of a new workspace is its admin.

    Raises `Refused` for an address that has an account already, and for an unknown workspace.
    """
    if by_email(connection, email) is not None:
        raise taken()
    if workspace_id is None:
        workspace_id, _ = workspaces.open_workspace(connection, f"of {email}")
        role = Role.ADMIN
    elif not connection.execute(sa.select(t.workspaces.c.id).where(t.workspaces.c.id == workspace_id)).first():
        raise Refused(Kind.BAD_REQUEST, f"no workspace {workspace_id}")
    values = {"workspace_id": workspace_id, "email": email, "password_hash": password_hash, "role": role}
    try:
        connection.execute(
            sa.insert(t.users).values(**values, created_at=now_ms(), verified_at=now_ms() if verified else None)
        )
    except sa.exc.IntegrityError as error:  # a concurrent transaction added the address
        raise taken() from error
    return _sure(by_email(connection, email))


def taken() -> Refused:
    """The refusal of an address that has an account."""
    return Refused(Kind.BAD_REQUEST, "this address has an account already", at="email")


def _sure(user: User | None) -> User:
    if user is None:
        raise RuntimeError("the user disappeared within the transaction")
    return user


def verify(connection: sa.Connection, user: User) -> User:
    """Mark the address of *user* as verified, revoke its verification links, and return the changed user."""
    _change(connection, user, verified_at=sa.func.coalesce(t.users.c.verified_at, now_ms()))
    email_links.revoke(connection, user.id, email_links.Purpose.VERIFY)
    return _sure(get(connection, user.id))


def set_email(connection: sa.Connection, user: User, email: str) -> User:
    """Give *user* the address *email*, as `normal` returns it, verified by the operator, and return the changed user.

    Revokes the links sent to the earlier address. Raises `Refused` for an address that has an account already.
    """
    other = by_email(connection, email)
    if other is not None and other.id != user.id:
        raise taken()
    try:
        _change(connection, user, email=email, verified_at=now_ms())
    except sa.exc.IntegrityError as error:  # a concurrent transaction took the address
        raise taken() from error
    email_links.revoke(connection, user.id)
    return _sure(get(connection, user.id))


def give_owner_email(connection: sa.Connection, email: str) -> User | None:
    """Give user 1 the address *email* if the user has none; returns the changed user. Raises `Refused`."""
    owner = get(connection, OWNER)
    if owner is None or owner.email is not None:
        return None
    return set_email(connection, owner, normal(email, at="SOTTOVOCE_OWNER_EMAIL"))


def set_password(connection: sa.Connection, user: User, password_hash: str, *, session: str | None = None) -> None:
    """Change the password. Ends every session except the one with the secret *session*, and revokes password reset links."""
    _change(connection, user, password_hash=password_hash)
    sessions.delete_all(connection, user.id, but=session)
    email_links.revoke(connection, user.id, email_links.Purpose.PASSWORD)


def rehash(connection: sa.Connection, found: Credentials, password_hash: str) -> None:
    """Store a new hash of the same password, with the current cost."""
    _change(connection, found.user, password_hash=password_hash)


def disable(connection: sa.Connection, user: User) -> None:
    """Disable *user*: end sessions, revoke links, and reject the user's keys until `enable`."""
    _change(connection, user, disabled_at=sa.func.coalesce(t.users.c.disabled_at, now_ms()))
    sessions.delete_all(connection, user.id)
    email_links.revoke(connection, user.id)


def enable(connection: sa.Connection, user: User) -> None:
    """Enable *user* again, and mark the address as verified, because an operator confirms it."""
    _change(connection, user, disabled_at=None)
    verify(connection, user)


def set_role(connection: sa.Connection, user: User, role: Role) -> User:
    """Give *user* another role, and return the changed user. `members` checks that an admin remains."""
    _change(connection, user, role=role.value)
    return _sure(get(connection, user.id))


def readmit(connection: sa.Connection, user: User) -> None:
    """Enable *user* again as an admin of the workspace does: the address stays as verified as it was."""
    _change(connection, user, disabled_at=None)


def _change(connection: sa.Connection, user: User, **values: Any) -> None:
    connection.execute(sa.update(t.users).where(t.users.c.id == user.id).values(**values))


def forget_unverified(connection: sa.Connection, email: str | None = None) -> int:
    """Remove accounts that were registered, never verified and never used: after a week, that of *email* at once.

    Returns the number of removed accounts.
    """
    workspace = t.users.c.workspace_id
    others = t.users.alias("others")
    unused = [
        ~sa.exists().where(others.c.workspace_id == workspace, others.c.id != t.users.c.id),
        ~sa.exists().where(t.api_keys.c.project_id == t.projects.c.id, t.projects.c.workspace_id == workspace),
        ~sa.exists().where(t.sessions.c.user_id == t.users.c.id),
        ~sa.exists().where(t.credit_entries.c.workspace_id == workspace),
        ~sa.exists().where(t.credit_holds.c.workspace_id == workspace),
    ]
    if email is None:
        linked = ~sa.exists().where(t.mail_links.c.user_id == t.users.c.id, t.mail_links.c.expires_at > now_ms())
        due = [linked, t.users.c.created_at < now_ms() - UNVERIFIED_DAYS * DAY_MS]
    else:
        due = [t.users.c.email == email]
    old = (
        sa.select(t.users.c.id, workspace)
        .where(t.users.c.email.is_not(None), t.users.c.verified_at.is_(None), t.users.c.disabled_at.is_(None))
        .where(*due, *unused)
        .limit(BATCH)
        .with_for_update(of=t.users, skip_locked=True)
    )
    found = connection.execute(old).all()
    for user_id, workspace_id in found:
        email_links.revoke(connection, user_id)
        connection.execute(sa.delete(t.users).where(t.users.c.id == user_id))
        connection.execute(sa.delete(t.projects).where(t.projects.c.workspace_id == workspace_id))
        connection.execute(sa.delete(t.workspaces).where(t.workspaces.c.id == workspace_id))
    return len(found)
