"""Deliveries and their content: values, and their encrypted form in the database."""

import json
import string
from dataclasses import asdict, dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from sottovoce.request import Notification
from sottovoce.service.email.smtp import Mail
from sottovoce.service.queue.port import TaskKind, entry_of
from sottovoce.service.storage.encryption import Encryptor

_ALPHABET = string.ascii_lowercase + string.digits
ID_LENGTH = 20
"""Characters of a delivery's id."""


INTERNAL = "internal error"
"""The outcome of a delivery that a bug ended."""


class Kind(StrEnum):
    """How a delivery is sent."""

    NOTIFICATION = "notification"
    CALLBACK = "callback"  # of the V1 API
    MAIL = "mail"


class State(StrEnum):
    """The state of a delivery. Removing a job removes its deliveries."""

    WAITING = "waiting"  # for its next attempt, or for the end of the current one
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as stored. Instants are epoch ms; *target* is encrypted, *place* and *outcome* contain no secrets."""

    id: str
    job_id: str | None  # None: a mail about an account
    kind: str  # a `Kind`, unless another release wrote the row
    number: int
    status: str
    target: bytes
    place: str
    state: State
    attempts: int
    tries: int
    next_at: int | None
    outcome: str | None
    created_at: int
    ended_at: int | None

    @property
    def next_entry(self) -> str:
        """The name of the queue entry for the next attempt, or for the one that is running."""
        return entry_of(TaskKind.DELIVERY, self.id, self.attempts + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDelivery:
    """A delivery that is not stored yet: *target* is encrypted, *place* contains no secrets.

    *refused*: why it cannot be sent at all; it is stored as failed, for the operator and the job's owner to see.
    """

    kind: Kind
    number: int
    target: bytes
    place: str
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """V1's callback for a finished job: sends the transcript to *url*; if that fails, sends a mail to *email*."""

    url: str
    email: str | None


def notification_of(encryptor: Encryptor, target: bytes) -> Notification:
    """Decrypt a notification. Raises `ValueError` when no key decrypts *target*."""
    plain = json.loads(encryptor.decrypt(target))
    contents = plain["contents"]
    return Notification(
        url=plain["url"],
        contents=None if contents is None else tuple(contents),
        method=plain["method"],
        auth_headers=tuple(plain["auth_headers"]),
    )


def mail_of(encryptor: Encryptor, target: bytes) -> Mail:
    """Decrypt a mail. Raises `ValueError` when no key decrypts *target*."""
    plain = json.loads(encryptor.decrypt(target))
    return Mail(**{**plain, "attachments": tuple(plain["attachments"])})


def callback_of(encryptor: Encryptor, target: bytes) -> Callback:
    """Decrypt a callback. Raises `ValueError` when no key decrypts *target*."""
    return Callback(**json.loads(encryptor.decrypt(target)))


def _encrypted(encryptor: Encryptor, content: Notification | Callback | Mail) -> bytes:
    return encryptor.encrypt(json.dumps(asdict(content)).encode())


def display_host(url: str) -> str:
    """Return the scheme and host of *url*, without the user, path and query, which may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
