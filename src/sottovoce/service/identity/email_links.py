"""Links in e-mails: random secrets, valid once and for a limited time, stored as their SHA-256.

A link proves that the person who follows it reads the user's e-mail.
"""

import secrets
from collections.abc import Mapping
from enum import StrEnum

import sqlalchemy as sa

from sottovoce.service.identity.api_keys import digest
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import now_ms

SECRET_BYTES = 32


class Purpose(StrEnum):
    """What a link permits: to verify the address, or to set a new password."""

    VERIFY = "verify"
    PASSWORD = "password"  # noqa: S105 - a purpose


SECONDS: Mapping[Purpose, int] = {Purpose.VERIFY: 86_400, Purpose.PASSWORD: 3600}
"""Seconds for which each kind of link is valid."""


def create(connection: sa.Connection, user_id: int, purpose: Purpose) -> str:
    """Return a new secret for *purpose*; an older one of the user for the same purpose is revoked."""
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
    """Return the id of the user who was sent *secret* for *purpose*, if it is valid. The link stays valid until `revoke`."""
    statement = sa.select(t.mail_links.c.user_id).where(
        t.mail_links.c.secret_sha256 == digest(secret),
        t.mail_links.c.purpose == purpose.value,
        t.mail_links.c.expires_at > now_ms(),
    )
    return connection.scalar(statement)


def revoke(connection: sa.Connection, user_id: int, purpose: Purpose | None = None) -> None:
    """Revoke the links of *user_id* for *purpose*; `None`: for every purpose."""
    statement = sa.delete(t.mail_links).where(t.mail_links.c.user_id == user_id)
    if purpose is not None:
        statement = statement.where(t.mail_links.c.purpose == purpose.value)
    connection.execute(statement)
