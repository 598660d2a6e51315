"""Links in mails: random secrets, good once and for a while, kept as their SHA-256. Whoever has one reads the user's mail."""

import secrets
from collections.abc import Mapping
from enum import StrEnum

import sqlalchemy as sa

from sottovoce.service.identity.api_keys import digest
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

SECRET_BYTES = 32


class Purpose(StrEnum):
    """What a link is good for."""

    VERIFY = "verify"
    PASSWORD = "password"  # noqa: S105 - a purpose


SECONDS: Mapping[Purpose, int] = {Purpose.VERIFY: 86_400, Purpose.PASSWORD: 3600}
"""How long each is good for."""


def create(connection: sa.Connection, user_id: int, purpose: Purpose) -> str:
    """A new secret for *purpose*, which takes the place of an older one."""
    revoke(connection, user_id, purpose)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    connection.execute(
        sa.insert(t.mail_links).values(
            secret_sha256=digest(secret),
            user_id=user_id,
            purpose=purpose.value,
            expires_at=now_ms() + SECONDS[purpose] * 1000,
        )
    )
    return secret


def user_for(connection: sa.Connection, secret: str, purpose: Purpose) -> int | None:
    """Who was sent *secret* for *purpose*, if it is still good. It stays so until it is dropped."""
    statement = sa.select(t.mail_links.c.user_id).where(
        t.mail_links.c.secret_sha256 == digest(secret),
        t.mail_links.c.purpose == purpose.value,
        t.mail_links.c.expires_at > now_ms(),
    )
    return connection.scalar(statement)


def revoke(connection: sa.Connection, user_id: int, purpose: Purpose | None = None) -> None:
    """Make links of *user_id* for *purpose* worthless, or all of them."""
    statement = sa.delete(t.mail_links).where(t.mail_links.c.user_id == user_id)
    if purpose is not None:
        statement = statement.where(t.mail_links.c.purpose == purpose.value)
    connection.execute(statement)
