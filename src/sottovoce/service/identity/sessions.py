"""Login sessions. A session is a random secret in a cookie, stored as its SHA-256, for fourteen days at most."""

import secrets
from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.service.identity.api_keys import digest
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

SECRET_BYTES = 32
SECRET_LENGTH = 43
"""Characters of a secret: its bytes in URL-safe base64."""
SECONDS = 14 * 86_400
"""Seconds for which a session is valid."""
MOST = 50
"""Sessions of one user at the same time; a further login ends the oldest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A valid session as its user sees it. Instants are epoch ms; *id* is derived from the digest, and opens nothing."""

    id: str
    created_at: int
    expires_at: int


def public_id(secret_digest: str) -> str:
    """Return the id of the session with the digest *secret_digest*: 16 hex characters."""
    return digest(f"session {secret_digest}")[:16]


def listed(connection: sa.Connection, user_id: int) -> list[Session]:
    """Return the valid sessions of *user_id*, newest first."""
    return [session for _, session in _valid(connection, user_id)]


def _valid(connection: sa.Connection, user_id: int) -> list[tuple[str, Session]]:
    """Return the digest of each valid session of *user_id*, and the session, newest first."""
    columns = (t.sessions.c.secret_sha256, t.sessions.c.created_at, t.sessions.c.expires_at)
    mine = sa.select(*columns).where(t.sessions.c.user_id == user_id, t.sessions.c.expires_at > now_ms())
    rows = connection.execute(mine.order_by(t.sessions.c.created_at.desc(), t.sessions.c.secret_sha256))
    return [
        (secret_digest, Session(id=public_id(secret_digest), created_at=created_at, expires_at=expires_at))
        for secret_digest, created_at, expires_at in rows
    ]


def end(connection: sa.Connection, user_id: int, session_id: str) -> bool:
    """End the session *session_id* of *user_id*. False if the user has no such session."""
    found = [secret_digest for secret_digest, session in _valid(connection, user_id) if session.id == session_id]
    mine = sa.delete(t.sessions).where(t.sessions.c.secret_sha256.in_(found))
    return connection.execute(mine).rowcount == 1


def create(connection: sa.Connection, user_id: int) -> str:
    """Log *user_id* in, and return the secret of the new session. Also removes the user's expired sessions."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    connection.execute(
        sa.delete(t.sessions).where(t.sessions.c.user_id == user_id, t.sessions.c.expires_at <= now_ms())
    )
    kept = sa.select(t.sessions.c.secret_sha256).where(t.sessions.c.user_id == user_id)
    spare = kept.order_by(t.sessions.c.created_at.desc(), t.sessions.c.secret_sha256).offset(MOST - 1)
    for each in connection.scalars(spare).all():
        connection.execute(sa.delete(t.sessions).where(t.sessions.c.secret_sha256 == each))
    connection.execute(
        sa.insert(t.sessions).values(
            secret_sha256=digest(secret), user_id=user_id, created_at=now_ms(), expires_at=now_ms() + SECONDS * 1000
        )
    )
    return secret


def user_for(connection: sa.Connection, secret: str) -> int | None:
    """Return the id of the user of the session *secret*; `None` if it has ended or the user is disabled."""
    statement = (
        sa.select(t.sessions.c.user_id)
        .join_from(t.sessions, t.users)
        .where(
            t.sessions.c.secret_sha256 == digest(secret),
            t.sessions.c.expires_at > now_ms(),
            t.users.c.disabled_at.is_(None),
        )
    )
    return connection.scalar(statement)


def delete(connection: sa.Connection, secret: str) -> bool:
    """End the session *secret*. False if there is no such session."""
    return connection.execute(sa.delete(t.sessions).where(t.sessions.c.secret_sha256 == digest(secret))).rowcount == 1


def delete_all(connection: sa.Connection, user_id: int, *, but: str | None = None) -> int:
    """End every session of *user_id* except the one with the secret *but*. Returns the number of ended sessions."""
    statement = sa.delete(t.sessions).where(t.sessions.c.user_id == user_id)
    if but is not None:
        statement = statement.where(t.sessions.c.secret_sha256 != digest(but))
    return connection.execute(statement).rowcount
