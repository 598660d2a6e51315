"""A job, its errors and its log, as values."""

import secrets
import string
from dataclasses import dataclass, replace

from sottovoce.job import JobType, Reason, State
from sottovoce.service.identity.api_keys import Caller

_ALPHABET = string.ascii_lowercase + string.digits
ID_LENGTH = 10
"""Characters of a job id (contract §4)."""


def new_id() -> str:
    """A fresh job id: ten lower-case letters and digits (contract §4)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job at its submission. *config* and *legacy* are encrypted."""

    id: str
    caller: Caller
    region: str
    region_number: int
    api: str
    type: JobType
    language: str
    operating_point: str
    config: bytes
    data_name: str
    media_bytes: int
    duration_ms: int
    queue: str
    priority: int = 10
    idempotency_key: str | None = None
    idempotency_digest: str | None = None
    fetched: bool = False  # True: its media or text must be fetched first
    legacy: bytes | None = None  # the V1 request, encrypted; None for a V2 job
    keep_ms: int | None = None  # retention after the job's end; None: the region's; 0: until the transcript is read
    app: str | None = None  # the application that submitted it
    text_name: str | None = None  # file name of the text of an alignment
    request: bytes | None = None  # the parsed config, encrypted


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """A public entry of `errors[]`. Texts with secrets of the job's owner are in `Job.whole_errors`, encrypted."""

    timestamp: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A stored job. Instants in epoch ms. *config*, *request*, *legacy*, *whole_errors*: encrypted, and None in a
    tombstone.

    *config_bytes*: the size of the stored config. Reads of several jobs leave out a large *config* and its *request*;
    then both are None although *config_bytes* is not 0.
    """

    id: str
    v1_id: int
    project_id: int
    workspace_id: int
    client_ref: str | None
    api: str
    type: JobType
    state: State
    reason: Reason | None
    language: str
    operating_point: str
    config: bytes | None
    request: bytes | None  # None: a release stored the job that did not store requests
    data_name: str
    text_name: str | None
    media_bytes: int
    duration_ms: int
    created_at: int
    started_at: int | None
    finished_at: int | None
    delete_at: int | None
    removed_at: int | None
    attempt: int
    failures: int
    progress: float
    priority: int
    queue: str
    engine: str | None
    result_key: str | None
    errors: tuple[JobError, ...]
    idempotency_digest: str | None
    fetch_attempts: int | None
    fetch_at: int | None
    whole_errors: bytes | None
    user_id: int | None
    legacy: bytes | None
    keep_ms: int | None
    read_at: int | None
    config_bytes: int

    @property
    def whole(self) -> bool:
        """True if no large config was left out when the job was read."""
        return self.config is not None or self.config_bytes == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The jobs of a list from *first* to *last*, both inclusive, each as (`created_at`, id); without *first* if *begun*."""

    first: tuple[int, str]
    last: tuple[int, str]
    begun: bool = False

    def after(self, found: Job) -> "Span":
        """The rest of the span, after *found*."""
        return replace(self, first=(found.created_at, found.id), begun=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A text for `errors[]`: the public text, and *whole*, the full text for the job's owner where it says more."""

    public_text: str
    whole: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of a job's log."""

    at: int
    attempt: int
    level: str
    stage: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """A live job that no worker seems to process."""

    id: str
    state: State
    queue: str
    priority: int
