"""The bodies of successful JSON answers, as models: the source of the answer schemas in `/openapi.json`.

The answers themselves are made by `wire/`; tests parse real answers with these models, which allow no other member.

In order: jobs and transcripts (V2), usage, keys and projects, discovery, V1, errors; `ANSWERS` names the model of each operation.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from sottovoce.web.docs.answer import Answer
from sottovoce.web.docs.transcript_answers import StageLists, Transcript

# ── jobs and transcripts (contract §5, §7) ──


class JobErrorEntry(Answer):
    """Something that went wrong with a job: a failed notification, a failed fetch, the reason of a rejection."""

    message: str
    timestamp: datetime


class QueuePlace(Answer):
    """The place of a waiting job in the queue of its region, from 1, and the estimated seconds until it starts."""

    place: int
    starts_in: int | None = None


class JobLifecycle(Answer):
    """Where a job stands; with `lifecycle=true` only. An addition of this server."""

    state: Literal["queued", "running", "done", "rejected", "deleted", "expired"]
    progress: float = Field(description="From 0 to 1.")
    ended_at: datetime | None = None
    queue: QueuePlace | None = None
    delete_at: datetime | None = Field(default=None, description="When the job will be deleted; known at its end.")


class JobDetails(Answer):
    """A job. `config` is the submitted JobConfig."""

    config: dict[str, Any] | None = None
    created_at: datetime
    data_name: str
    duration: int = Field(description="Seconds of media; 0 until it is known.")
    errors: list[JobErrorEntry] | None = None
    id: str
    lifecycle: JobLifecycle | None = None
    status: Literal["running", "done", "rejected", "deleted", "expired"]
    text_name: str | None = None


class RetrieveJobResponse(Answer):
    """One job."""

    job: JobDetails


class RetrieveJobsResponse(Answer):
    """Jobs, newest first."""

    jobs: list[JobDetails]


class CreateJobResponse(Answer):
    """The id of the new job; with `wait` its status, and once it is done its transcript under the name of its format."""

    id: str
    status: Literal["created", "done", "rejected", "deleted", "expired"] | None = None
    json_v2: Transcript | None = Field(default=None, alias="json-v2")
    txt: str | None = None
    srt: str | None = None
    vtt: str | None = None


# ── usage ──


class UsageSummary(Answer):
    """Jobs of one type."""

    mode: Literal["batch"]
    type: Literal["transcription", "alignment"]
    count: int
    duration_hrs: float


class UsageDetails(UsageSummary):
    """Jobs of one type, language and operating point."""

    language: str
    model: str
    operating_point: str


class UsagePart(Answer):
    """Jobs or realtime sessions of one type and operating point on one day or of one project; an addition of this server."""

    day: str | None = None
    project_id: int | None = None
    mode: Literal["batch", "realtime"]
    type: Literal["transcription", "alignment"]
    model: str
    operating_point: str
    count: int
    duration_hrs: float


class UsageResponse(Answer):
    """Jobs that ended in the days from `since` to `until`, both included. `days` and `projects`: only if `by` names them."""

    since: str
    until: str
    summary: list[UsageSummary]
    details: list[UsageDetails]
    days: list[UsagePart] | None = None
    projects: list[UsagePart] | None = None


# ── keys and projects (contract §13) ──


class ApiKey(Answer):
    """An API key without its value. `manages`: it is a managing key; shown with `manages=true` only."""

    apikey_id: str
    name: str
    created_at: datetime
    client_ref: str | None = None
    manages: bool | None = None


class NewApiKey(Answer):
    """A new key; a temporary one has no id."""

    apikey_id: str | None
    key_value: str


class Deleted(Answer):
    """The key was deleted."""

    status: str


class Project(Answer):
    """A project."""

    project_id: int
    is_default: bool
    is_active: bool
    name: str
    created_at: datetime
    description: str | None = None


# ── discovery (contract §12) ──


class LocaleName(Answer):
    """The name of an output locale."""

    name: str


class PackInfo(Answer):
    """A language and its output locales."""

    language_description: str
    locales: dict[str, LocaleName]


class FeaturesMetadata(Answer):
    """The languages by code."""

    language_pack_info: dict[str, PackInfo]


class TranscriptionFeatures(Answer):
    """What can be transcribed."""

    version: str
    languages: list[str]
    locales: dict[str, list[str]]
    domains: dict[str, list[str]]


class TranslationFeatures(Answer):
    """What can be translated, by source language."""

    version: str
    languages: dict[str, list[str]]


class Mode(Answer):
    """The features of one mode."""

    transcription: list[TranscriptionFeatures]
    translation: list[TranslationFeatures]


class BatchMode(StageLists, Mode):
    """The features of batch jobs. `languageid` and `languageId` are the same list. A stage without a backend is left out."""

    languageid: list[str]
    languageId: list[str]  # noqa: N815 - the member's name


class Features(Answer):
    """What the region offers."""

    metadata: FeaturesMetadata
    batch: BatchMode | None = None
    realtime: Mode | None = None


class RegionEntry(Answer):
    """A region. `modes` is null where this region does not know them."""

    name: str
    label: str
    place: str
    modes: list[str] | None
    url: str | None
    here: bool


class Regions(Answer):
    """All regions, and the one that answers."""

    region: str
    regions: list[RegionEntry]


# ── V1 ──


class LegacyUser(Answer):
    """An account and its credits."""

    balance: int
    email: str
    id: int


class LegacyUserResponse(Answer):
    """The account."""

    user: LegacyUser


class LegacyPayment(Answer):
    """A change of the balance; `balance` is the change."""

    balance: int
    created_at: str
    description: str


class LegacyPayments(Answer):
    """Payments, newest first."""

    payments: list[LegacyPayment]


class LegacyJob(Answer):
    """A job in V1. `check_wait`: seconds until the next request; null once the job has ended."""

    alignment: str | None = None
    check_wait: int | None
    created_at: str
    duration: int
    id: int
    job_status: str
    job_type: Literal["transcription", "alignment"]
    lang: str
    meta: str | None
    name: str
    next_check: int
    notification: str
    text_name: str | None = None
    transcription: str | None = None
    url: str
    user_id: int


class LegacyJobResponse(Answer):
    """One job."""

    job: LegacyJob


class LegacyJobs(Answer):
    """Jobs, newest first."""

    jobs: list[LegacyJob]


class LegacyAccepted(Answer):
    """A new job, what it cost, and when to ask for it."""

    balance: int
    check_wait: int | None
    cost: int
    id: int


class LegacyEntry(Answer):
    """A word or a turn of a speaker; numbers are text with three decimals."""

    confidence: str | None
    duration: str
    name: str
    time: str


class LegacyTranscriptJob(Answer):
    """The job of a transcript."""

    created_at: str
    duration: int
    id: int
    lang: str
    name: str
    user_id: int


class LegacyTranscript(Answer):
    """A transcript of V1, format 1.0."""

    format: Literal["1.0"]
    job: LegacyTranscriptJob
    speakers: list[LegacyEntry]
    words: list[LegacyEntry]


class LegacyStatus(Answer):
    """The load of the service."""

    average_turnaround_mins: int = Field(alias="Average_Turnaround_Mins")
    known_issues: bool = Field(alias="Known_Issues")
    queue_length_mins: int = Field(alias="Queue_Length_Mins")
    status: Literal["Good", "Slow"] = Field(alias="Status")
    time_utc: str = Field(alias="Time_UTC")


# ── errors ──


class ErrorResponse(Answer):
    """An error. `detail` says what to change; the request id is in the header `Request-Id`."""

    code: int = Field(ge=100)
    error: str
    detail: str | None = None
    message: str | None = Field(default=None, description="The same as `detail`, in `/v1` with status 422.")


ANSWERS: Mapping[str, Any] = {
    "create_job": CreateJobResponse,
    "list_jobs": RetrieveJobsResponse,
    "get_job": RetrieveJobResponse,
    "delete_job": RetrieveJobResponse,
    "get_transcript": Transcript,
    "get_usage": UsageResponse,
    "list_api_keys": list[ApiKey],
    "create_api_key": NewApiKey,
    "delete_api_key": Deleted,
    "list_projects": list[Project],
    "create_project": Project,
    "get_project": Project,
    "rename_project": Project,
    "features": Features,
    "regions": Regions,
    "v1_user": LegacyUserResponse,
    "v1_payments": LegacyPayments,
    "v1_jobs": LegacyJobs,
    "v1_create_job": LegacyAccepted,
    "v1_job": LegacyJobResponse,
    "v1_transcript": LegacyTranscript,
    "v1_status": LegacyStatus,
}
"""The type of the JSON answer of each operation that has one, by the operation's id."""
