"""A delivery and what is sent with it: values, and their encrypted form in the database."""

import json
import logging
import string
from dataclasses import asdict, dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from sottovoce.request import Notification
from sottovoce.service.email.smtp import Mail
from sottovoce.service.queue.port import TaskKind, entry_of
from sottovoce.service.storage.encryption import Encryptor

_log = logging.getLogger(__name__)

_ALPHABET = string.ascii_lowercase + string.digits
ID_LENGTH = 20


class Kind(StrEnum):
    """How it goes out."""

    NOTIFICATION = "notification"
    CALLBACK = "callback"  # V1's
    MAIL = "mail"


class State(StrEnum):
    """Where a delivery is; one whose job was removed is no more."""

    WAITING = "waiting"  # for its next attempt, or in the middle of it
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as stored. Instants in epoch ms; *target* is sealed, *place* and *outcome* may be shown."""

    id: str
    job_id: str | None  # none: a mail about an account
    kind: Kind
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
        """The queue's name for the attempt that comes next, or is under way."""
        return entry_of(TaskKind.DELIVERY, self.id, self.attempts + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDelivery:
    """Something ready to be posted: *target* is sealed, *place* may be shown."""

    kind: Kind
    number: int
    target: bytes
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """V1's notice of a finished job: the transcript to *url*; when nobody takes it, a mail to *email* says so."""

    url: str
    email: str | None


def notification_of(encryptor: Encryptor, target: bytes) -> Notification:
    """What *target* was sealed from. Raises `ValueError` when no key opens it."""
    plain = json.loads(encryptor.decrypt(target))
    contents = plain["contents"]
    return Notification(
        url=plain["url"],
        contents=None if contents is None else tuple(contents),
        method=plain["method"],
        auth_headers=tuple(plain["auth_headers"]),
    )


def mail_of(encryptor: Encryptor, target: bytes) -> Mail:
    """What *target* was sealed from. Raises `ValueError` when no key opens it."""
    plain = json.loads(encryptor.decrypt(target))
    return Mail(**{**plain, "attachments": tuple(plain["attachments"])})


def callback_of(encryptor: Encryptor, target: bytes) -> Callback:
    """What *target* was sealed from. Raises `ValueError` when no key opens it."""
    return Callback(**json.loads(encryptor.decrypt(target)))


def _seal(encryptor: Encryptor, content: Notification | Callback | Mail) -> bytes:
    return encryptor.encrypt(json.dumps(asdict(content)).encode())


def display_host(url: str) -> str:
    """As much of *url* as may be shown: a path or a query may be the secret itself."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


# --- posting ---------------------------------------------------------------------------------------------------------
