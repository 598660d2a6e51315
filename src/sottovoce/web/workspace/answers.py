"""The bodies of JSON answers about members, the audit log and the health of the server, as models; see `web/docs/answers.py`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sottovoce.web.docs.answer import Answer

Role = Literal["admin", "member"]


class Member(Answer):
    """A user of the workspace. A user without `email` has keys, and cannot log in."""

    user_id: int
    email: str | None
    role: Role
    state: Literal["active", "disabled", "unverified"]
    created_at: datetime


class OpenInvitation(Answer):
    """An invitation that was not accepted yet."""

    invitation_id: int
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime


class MembersResponse(Answer):
    """The users of the workspace, and for an admin the open invitations. `user_id` and `role` are those of the caller."""

    user_id: int | None
    role: Role
    members: list[Member]
    invitations: list[OpenInvitation]


class NewInvitation(Answer):
    """A new invitation. `token` is there if the server sends no mail."""

    invitation: OpenInvitation
    mail: bool
    token: str | None = None


class AuditEntry(Answer):
    """Who did what. `actor` is the id of a key, `user` and an id, or `operator`."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    details: dict[str, str | int | bool]


class AuditResponse(Answer):
    """Entries of the audit log, newest first. `next` is the `before` of the next page, or null at the end."""

    entries: list[AuditEntry]
    next: int | None


# ── health ──


class HealthRegion(Answer):
    """A region of the installation. `modes` is null for a region that this server does not know."""

    name: str
    label: str
    modes: list[str] | None
    here: bool


class Parts(Answer):
    """Whether each part that the process needs works."""

    database: bool
    blobs: bool
    keys: bool
    disk: bool
    engines: bool


class EngineEntry(Answer):
    """What an engine can do with one model."""

    engine: str
    model: str
    skills: list[str]
    languages: list[str]
    operating_points: list[str]
    device: str


class LanguagesHere(Answer):
    """The codes of the languages that the region transcribes."""

    batch: list[str]
    realtime: list[str]


class ModelEntry(Answer):
    """A model. `bytes`: of its download; `grade`, 1 to 99, only orders the models."""

    name: str
    engine: str
    bytes: int
    languages: list[str]
    operating_point: str
    grade: int
    licence: str


class AvailableModel(ModelEntry):
    """A model of the catalogue that is not installed. `needs`: a package that must be installed first."""

    command: str
    needs: str | None


class FaultyModel(Answer):
    """A folder with a model that cannot be used, and what to do."""

    name: str
    remedy: str


class UnservedLanguages(Answer):
    """Languages without a model, and the model to pull for them; null if the catalogue has none."""

    model: str | None
    languages: list[str]


class Models(Answer):
    """The models of this process's folder, and those of the catalogue that it lacks."""

    installed: list[ModelEntry]
    available: list[AvailableModel]
    faults: list[FaultyModel]
    unserved: list[UnservedLanguages]


class PullResponse(Answer):
    """The latest pull of a model. `done` and `total` in bytes, as far as they are known."""

    model: str
    state: Literal["running", "done", "failed"]
    step: str
    done: int
    total: int


class DiskRoom(Answer):
    """Free bytes of the disk of the media, and those that stay free of media."""

    free: int
    reserve: int


class WorkerEntry(Answer):
    """A worker of the region that was seen in the last day."""

    alive: bool
    slots: int
    started_at: datetime
    heartbeat_at: datetime


class QueueNumbers(Answer):
    """The queue of the region. `eta_seconds`: until all jobs are done; null without a worker."""

    waiting: int
    oldest_seconds: float
    audio_seconds: float
    slots: int
    eta_seconds: float | None
    turnaround_seconds: float
    known_issues: bool


class DeliveryNumbers(Answer):
    """Notifications, callbacks and mails by state; a state without any is left out."""

    failed_last_day: int
    waiting: int = 0
    delivered: int = 0
    failed: int = 0


class RetentionNumbers(Answer):
    """What is kept, and what is removed when. Periods in days, `kept_bytes` of media."""

    keep_days: float
    tombstone_days: float
    audit_days: float
    worker_days: float
    kept: int
    kept_bytes: int
    due: int
    due_in_a_day: int
    never_ended: int
    tombstones: int
    uncleaned: int
    oldest_end: datetime | None


class HealthDetails(Answer):
    """The state of the server and its region. `models` is null where no models are loaded, `disk` with an object store."""

    version: str
    region: str
    regions: list[HealthRegion]
    roles: list[str]
    ready: Parts
    engines: list[EngineEntry]
    languages: LanguagesHere
    models: Models | None
    pull: PullResponse | None
    pull_refused: str | None
    disk: DiskRoom | None
    workers: list[WorkerEntry]
    jobs: dict[str, int]
    queue: QueueNumbers
    deliveries: DeliveryNumbers
    retention: RetentionNumbers


WORKSPACE_ANSWERS: Mapping[str, Any] = {
    "list_members": MembersResponse,
    "invite_member": NewInvitation,
    "change_member": Member,
    "list_audit": AuditResponse,
    "health_details": HealthDetails,
    "pull_model": PullResponse,
}
"""The type of the JSON answer of each of these operations."""
