"""Job objects in the responses of `POST/GET/DELETE /v2/jobs` (contract §4, §5). Keys in alphabetical order, as observed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sottovoce.job import State
from sottovoce.wire import timestamps

STATUS: dict[State, str] = {
    State.QUEUED: "running",
    State.RUNNING: "running",
    State.DONE: "done",
    State.REJECTED: "rejected",
    State.DELETED: "deleted",
    State.EXPIRED: "expired",
}
"""`status` by state; V2 has no status for queued (contract §4)."""

SUBMIT_STATUS: dict[State, str] = {**STATUS, State.QUEUED: "created", State.RUNNING: "created"}
"""`status` in the response to POST with `wait`: `created` instead of `running` (contract §5.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """The fields of a job that V2 shows. *config*: the submitted JSON, parsed and unchanged; `None` for a removed job.

    *created_at* and the times of *errors* in epoch ms.
    """

    id: str
    state: State
    created_at: int
    data_name: str
    duration_ms: int
    config: Any | None
    errors: Sequence[tuple[int, str]] = ()
    text_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """Where a job stands. *progress* from 0 to 1; instants in epoch ms, `None` while the job has not ended.

    *place*: that of a waiting job in the queue, from 1; *starts_in*: the estimated seconds until it starts.
    """

    state: State
    progress: float
    ended_at: int | None
    delete_at: int | None
    place: int | None = None
    starts_in: float | None = None


def lifecycle_object(known: Lifecycle) -> dict[str, Any]:
    """The member `lifecycle` of a job object, an addition of this service that a client must ask for (`?lifecycle=true`)."""
    body: dict[str, Any] = {"state": str(known.state), "progress": round(min(max(known.progress, 0.0), 1.0), 3)}
    if known.ended_at is not None:
        body["ended_at"] = timestamps.milliseconds(known.ended_at)
    if known.delete_at is not None:
        body["delete_at"] = timestamps.milliseconds(known.delete_at)
    if known.place is not None:
        body["queue"] = {"place": known.place}
        if known.starts_in is not None:
            body["queue"]["starts_in"] = round(known.starts_in)
    return body


def whole_seconds(duration_ms: int) -> int:
    """*duration_ms* in seconds, rounded half up, never negative (contract §4, inferred)."""
    return max(0, (duration_ms + 500) // 1000)


def job_object(view: JobView) -> dict[str, Any]:
    """`JobDetails` of the contract. `duration` is always present: an old client reads it without a default."""
    body: dict[str, Any] = {}
    if view.config is not None:
        body["config"] = view.config
    body["created_at"] = timestamps.milliseconds(view.created_at)
    body["data_name"] = view.data_name
    body["duration"] = whole_seconds(view.duration_ms)
    if view.errors:
        body["errors"] = [{"message": text, "timestamp": timestamps.milliseconds(at)} for at, text in view.errors]
    body["id"] = view.id
    body["status"] = STATUS[view.state]
    if view.text_name is not None:
        body["text_name"] = view.text_name
    return body
