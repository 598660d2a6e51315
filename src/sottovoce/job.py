"""The user's unit of work: its states and what moves it between them. V1 and V2 are two projections of this.

The states are finer than either wire: V2 shows queued and running both as `running`.
"""

from enum import StrEnum

from sottovoce.errors import Kind


class State(StrEnum):
    """Where a job is; `LIVE` ones still need work."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    REJECTED = "rejected"
    DELETED = "deleted"  # by the user; a tombstone without names or text
    EXPIRED = "expired"  # by retention; likewise


class Event(StrEnum):
    """What can happen to a job."""

    CLAIMED = "claimed"  # a worker took a lease: a new attempt
    EMPTY_MEDIA = "unheard"  # there is nothing in its media (V1 takes empty files, to try things out)
    FINISHED = "finished"  # the attempt that holds the lease published a result
    FAILED = "failed"  # the job cannot be done, whoever tries
    RETRIED = "retried"  # an operator wants a rejected job run again
    REMOVED = "removed"  # the user deleted it
    EXPIRED_BY_RETENTION = "lapsed"  # retention removed it


class JobType(StrEnum):
    """What was asked for."""

    TRANSCRIPTION = "transcription"
    ALIGNMENT = "alignment"


class Reason(StrEnum):
    """Why a job was rejected: stable words for metrics, V1 statuses and refunds; the caller reads `errors[].message`."""

    INVALID_AUDIO = "invalid_audio"
    LANGUAGE = "language"
    FETCH = "fetch"
    NOT_ALIGNABLE = "not_alignable"
    ENGINE = "engine"
    POISON = "poison"  # every attempt killed its engine process
    CONFIG = "config"  # what was accepted cannot be honoured after all


LIVE = frozenset({State.QUEUED, State.RUNNING})
REMOVED = frozenset({State.DELETED, State.EXPIRED})
TERMINAL = frozenset(State) - LIVE

# (from, event) -> to. A pair that is missing cannot happen: the writer that tries lost a race and changes nothing.
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
    """The states that *event* may leave: the `WHERE state IN (…)` of the statement that carries it out."""
    return tuple(state for (state, what) in TRANSITIONS if what is event)


def target(event: Event) -> State:
    """The one state that *event* leads to, wherever it comes from."""
    targets = {to for (_, what), to in TRANSITIONS.items() if what is event}
    if len(targets) != 1:
        raise LookupError(f"{event} leads to {targets}")
    return targets.pop()


# Why a transcript cannot be given now, by state (contract §3, inferred part).
NO_TRANSCRIPT: dict[State, Kind] = {
    State.QUEUED: Kind.JOB_IN_PROGRESS,
    State.RUNNING: Kind.JOB_IN_PROGRESS,
    State.REJECTED: Kind.JOB_REJECTED,
    State.DELETED: Kind.FILE_EXPIRED,
    State.EXPIRED: Kind.FILE_EXPIRED,
}
