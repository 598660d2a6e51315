"""The states of a job, the events that change them, and the allowed transitions. V1 and V2 both map these states.

The states are finer than those of either API: V2 shows both queued and running as `running`.
"""

from enum import StrEnum

from sottovoce.errors import Kind


class State(StrEnum):
    """The state of a job; jobs in a `LIVE` state still need work."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    REJECTED = "rejected"
    DELETED = "deleted"  # by the user; the row that remains has no names and no text
    EXPIRED = "expired"  # by retention; the row that remains has no names and no text


class Event(StrEnum):
    """An event that changes the state of a job."""

    CLAIMED = "claimed"  # a worker took a lease: a new attempt
    EMPTY_MEDIA = "unheard"  # the media file is empty (V1 accepts empty files, for trials)
    FINISHED = "finished"  # the attempt that holds the lease published a result
    FAILED = "failed"  # the job fails on every worker, so it is not tried again
    RETRIED = "retried"  # an operator runs a rejected job again
    REMOVED = "removed"  # the user deleted it
    EXPIRED_BY_RETENTION = "lapsed"  # retention removed it


class JobType(StrEnum):
    """The type of a job."""

    TRANSCRIPTION = "transcription"
    ALIGNMENT = "alignment"


class Reason(StrEnum):
    """Why a job was rejected: stable names for metrics, V1 statuses and refunds; the caller reads `errors[].message`."""

    INVALID_AUDIO = "invalid_audio"
    LANGUAGE = "language"
    FETCH = "fetch"
    NOT_ALIGNABLE = "not_alignable"
    ENGINE = "engine"
    POISON = "poison"  # the engine process died in every attempt
    CONFIG = "config"  # the config was accepted, but this server cannot carry it out


REJECTED_BUG = "The job could not be processed because of an internal error"
"""The entry of `errors[]` of a job that a bug ended."""

LIVE = frozenset({State.QUEUED, State.RUNNING})
REMOVED = frozenset({State.DELETED, State.EXPIRED})
TERMINAL = frozenset(State) - LIVE

# (from, event) -> to. A pair that is missing is not allowed: a writer that tries it lost a race and changes nothing.
TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.QUEUED, Event.CLAIMED): State.RUNNING,
    (State.QUEUED, Event.EMPTY_MEDIA): State.DONE,
    (State.RUNNING, Event.CLAIMED): State.RUNNING,  # the lease ran out, or the last attempt's process died
    (State.RUNNING, Event.FINISHED): State.DONE,
    (State.QUEUED, Event.FAILED): State.REJECTED,
    (State.RUNNING, Event.FAILED): State.REJECTED,
    (State.REJECTED, Event.RETRIED): State.QUEUED,
    (State.QUEUED, Event.REMOVED): State.DELETED,
    (State.RUNNING, Event.REMOVED): State.DELETED,
    (State.DONE, Event.REMOVED): State.DELETED,
    (State.REJECTED, Event.REMOVED): State.DELETED,
    (State.QUEUED, Event.EXPIRED_BY_RETENTION): State.EXPIRED,
    (State.RUNNING, Event.EXPIRED_BY_RETENTION): State.EXPIRED,
    (State.DONE, Event.EXPIRED_BY_RETENTION): State.EXPIRED,
    (State.REJECTED, Event.EXPIRED_BY_RETENTION): State.EXPIRED,
}


def sources(event: Event) -> tuple[State, ...]:
    """The states from which *event* is allowed: the `WHERE state IN (…)` of its SQL statement."""
    return tuple(state for (state, what) in TRANSITIONS if what is event)


def target(event: Event) -> State:
    """The state that *event* leads to, the same from every state. Raises `LookupError` if it is not the same."""
    targets = {to for (_, what), to in TRANSITIONS.items() if what is event}
    if len(targets) != 1:
        raise LookupError(f"{event} leads to {targets}")
    return targets.pop()


# The error for a request for a transcript, by the state of the job (contract §3, inferred part).
NO_TRANSCRIPT: dict[State, Kind] = {
    State.QUEUED: Kind.JOB_IN_PROGRESS,
    State.RUNNING: Kind.JOB_IN_PROGRESS,
    State.REJECTED: Kind.JOB_REJECTED,
    State.DELETED: Kind.FILE_EXPIRED,
    State.EXPIRED: Kind.FILE_EXPIRED,
}
