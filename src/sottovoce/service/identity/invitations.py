"""Invitations to a workspace: a secret that makes the person who has it a user of the workspace.

With a mail server the secret goes to the invited address only, and an invitation of an address that has an account looks like
any other, so that an admin cannot find out who has an account. Without a mail server the admin gets the secret and hands it over.

Parts, in order:
- statements: listing and withdrawing invitations;
- `InvitationService`: inviting and joining;
- helpers that run in a transaction.
"""

import secrets
from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.errors import Kind, Refused
from sottovoce.service.email import templates
from sottovoce.service.email.smtp import Mail
from sottovoce.service.identity import audit_log, login_throttle, members, passwords, sessions, users
from sottovoce.service.identity.api_keys import digest
from sottovoce.service.identity.login_throttle import AttemptLimit
from sottovoce.service.identity.registration import AccountService, Login
from sottovoce.service.identity.users import User
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import DAY_MS, Database, now_ms

DAYS = 7
"""Days for which an invitation is valid."""
SECRET_BYTES = 32
_COLUMNS = ("id", "workspace_id", "email", "role", "created_at", "expires_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An open invitation. Instants are epoch ms."""

    id: int
    workspace_id: int
    email: str
    role: Role
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """A new invitation. *secret* is `None` if it was sent by mail."""

    invitation: Invitation
    secret: str | None


# ── statements ──


def _open() -> sa.Select[tuple[object, ...]]:
    columns = (t.invitations.c[name] for name in _COLUMNS)
    return sa.select(*columns).where(t.invitations.c.expires_at > now_ms())


def _invitation(row: sa.RowMapping) -> Invitation:
    return Invitation(**{**row, "role": Role(row["role"])})


def listed(connection: sa.Connection, workspace_id: int) -> list[Invitation]:
    """Return the open invitations of *workspace_id*, oldest first."""
    statement = _open().where(t.invitations.c.workspace_id == workspace_id).order_by(t.invitations.c.id)
    return [_invitation(row) for row in connection.execute(statement).mappings()]


def withdraw(connection: sa.Connection, workspace_id: int, invitation_id: int) -> None:
    """Remove an open invitation. Raises `Refused(PAGE_NOT_FOUND)` if the workspace has no such invitation."""
    theirs = (t.invitations.c.id == invitation_id, t.invitations.c.workspace_id == workspace_id)
    small = 0 < invitation_id < 1 << 31  # the range of the column
    if not small or not connection.execute(sa.delete(t.invitations).where(*theirs)).rowcount:
        raise Refused(Kind.PAGE_NOT_FOUND, "no such invitation")


def _by_secret(connection: sa.Connection, secret: str) -> Invitation:
    row = connection.execute(_open().where(t.invitations.c.secret_sha256 == digest(secret))).mappings().first()
    if row is None:
        why = "the invitation was used before, was withdrawn, has expired, or is unknown; ask for a new one"
        raise Refused(Kind.BAD_REQUEST, why, at="token")
    return _invitation(row)


def _insert(connection: sa.Connection, workspace_id: int, email: str, role: Role, secret: str) -> Invitation:
    """Store an invitation in the place of an older one for the same address, and remove those that have expired."""
    mine = sa.and_(t.invitations.c.workspace_id == workspace_id, t.invitations.c.email == email)
    connection.execute(sa.delete(t.invitations).where(sa.or_(mine, t.invitations.c.expires_at <= now_ms())))
    values = {"workspace_id": workspace_id, "email": email, "role": role.value, "secret_sha256": digest(secret)}
    expires = now_ms() + DAYS * DAY_MS
    connection.execute(sa.insert(t.invitations).values(**values, created_at=now_ms(), expires_at=expires))
    return _by_secret(connection, secret)


# ── inviting and joining ──


class InvitationService:
    """Invitations in the control database, with the mail server and the password hashes of *accounts*."""

    def __init__(self, control: Database, accounts: AccountService) -> None:
        self._control = control
        self._accounts = accounts

    async def invite(self, workspace_id: int, email: str, role: Role, actor: str) -> Invited:
        """Invite *email* to become a user of *workspace_id*. Raises `Refused`."""
        email = users.normal(email)
        limits = _allowances(workspace_id, email)
        await self._control.write(lambda connection: login_throttle.count_attempt(connection, limits))
        secret = secrets.token_urlsafe(SECRET_BYTES)

        def made(connection: sa.Connection) -> tuple[Invitation, audit_log.Entry, Mail | None]:
            members.lock(connection, workspace_id)
            mail = self._checked(connection, workspace_id, email, secret)
            invitation = _insert(connection, workspace_id, email, role, secret)
            entry = audit_log.Entry(
                actor=actor,
                action="member invited",
                target=str(invitation.id),
                workspace_id=workspace_id,
                details={"role": role.value},
            )
            audit_log.record(connection, entry)
            return invitation, entry, mail

        invitation, entry, mail = await self._control.write(made)
        audit_log.tell(entry)
        if mail is not None:
            await self._accounts.post(mail)
        return Invited(invitation=invitation, secret=None if mail else secret)

    def _checked(self, connection: sa.Connection, workspace_id: int, email: str, secret: str) -> Mail | None:
        """Return the mail to send, if there is a mail server. Raises `Refused` for an address that cannot be invited."""
        known = users.by_email(connection, email)
        if known is not None and known.workspace_id == workspace_id:
            raise Refused(Kind.BAD_REQUEST, "this address belongs to a member of the workspace already", at="email")
        others = [each for each in listed(connection, workspace_id) if each.email != email]
        if len(users.listed(connection, workspace_id)) + len(others) >= members.MOST:
            raise Refused(Kind.FORBIDDEN, f"the workspace has {members.MOST} members and invitations, the maximum")
        if not self._accounts.mails:
            if known is not None:
                raise users.taken()
            return None
        if known is not None and known.state != "unverified":
            return templates.invited_elsewhere(email)
        return templates.invited(email, secret, self._accounts.policy.public_url)

    async def join(self, secret: str, password: str) -> Login:
        """Make the invited person a user with *password*, and log in. Raises `Refused`."""
        found = await self._control.read(lambda connection: _by_secret(connection, secret))
        passwords.checked(password, found.email)
        kept = await self._accounts.hashing.hashed(password)

        def joined(connection: sa.Connection) -> tuple[audit_log.Entry, Login]:
            user = _admitted(connection, secret, kept)
            entry = audit_log.Entry(
                actor=user.actor,
                action="member joined",
                target=str(user.id),
                workspace_id=user.workspace_id,
                details={"role": user.role.value},
            )
            audit_log.record(connection, entry)
            return entry, Login(user=user, session=sessions.create(connection, user.id))

        entry, login = await self._control.write(joined)
        audit_log.tell(entry)
        return login


def _allowances(workspace_id: int, email: str) -> tuple[AttemptLimit, AttemptLimit]:
    """Return the limits: per hour, 5 invitations of one address and 100 by one workspace."""
    return (
        AttemptLimit(purpose="invite", who=email, most=5, seconds=3600),
        AttemptLimit(purpose="invite by", who=str(workspace_id), most=100, seconds=3600),
    )


def _admitted(connection: sa.Connection, secret: str, password_hash: str) -> User:
    """Turn the invitation into a user. Raises `Refused` if it is not valid any more, or the address has an account by now."""
    invitation = _by_secret(connection, secret)
    withdraw(connection, invitation.workspace_id, invitation.id)  # of two who join at once, one finds it gone
    # an account that a stranger registered with this address and did not confirm is in the way
    users.forget_unverified(connection, invitation.email)
    return users.add(
        connection,
        email=invitation.email,
        password_hash=password_hash,
        verified=True,
        workspace_id=invitation.workspace_id,
        role=invitation.role,
    )
