"""What a live session reports to the process that opened it. Times are samples at 16 kHz of the channel's own audio."""

from dataclasses import dataclass

from sottovoce.transcript.model import Item, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The child process has accepted the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """*size* bytes of audio of *channel* have left the buffer."""

    channel: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """*items* that never change; consecutive finals of a channel do not overlap."""

    channel: int
    start: Samples
    end: Samples
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """*items* that replace those of the previous partial of the channel; empty: no words are open."""

    channel: int
    start: Samples
    end: Samples
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceEnd:
    """The utterance ended at *at*; its finals were sent before. *forced*: a client asked for it."""

    channel: int
    at: Samples
    forced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line for the log, without spoken text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """All audio of *channel*, *duration* samples, is processed."""

    channel: int
    duration: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """All channels ended; the last event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The session failed; the last event. *kind*: `data_error` (the audio cannot be decoded) or `job_error`."""

    kind: str
    detail: str


Event = Opened | Taken | Final | Partial | UtteranceEnd | Note | Ended | Finished | Failed
