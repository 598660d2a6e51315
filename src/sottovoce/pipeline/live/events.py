"""What a live session reports, in order. Times are samples of a channel's audio, from its beginning."""

from dataclasses import dataclass
from typing import Literal

from sottovoce.transcript.model import Item, Samples, Speaker, SpeakerLabel


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The session has begun with *model*; audio may be sent."""

    type: Literal["opened"] = "opened"
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """*size* bytes of audio of *channel* have left the buffer."""

    type: Literal["taken"] = "taken"
    channel: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """Items of *start* … *end* that never change. Finals of a channel are in order and do not overlap.

    *start* is the end of the final before. *forced*: the client asked for the end of the utterance, which this final is.
    In a session with turns, a final is a whole segment, and a partial all of the open one.
    """

    type: Literal["final"] = "final"
    channel: int
    start: Samples
    end: Samples
    items: tuple[Item, ...]
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """Items after the last final that may change; replaces the previous partial of the channel. Empty: nothing is open.

    *start* is the end of the last final, *end* that of the audio processed so far.
    """

    type: Literal["partial"] = "partial"
    channel: int
    start: Samples
    end: Samples
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceEnd:
    """The utterance (in a session with turns: the turn) ended at *at*, after its finals: by silence, or *forced* by the client."""

    type: Literal["utterance_end"] = "utterance_end"
    channel: int
    at: Samples
    forced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted:
    """The speech detector hears speech from *at* on (sessions with turns only)."""

    type: Literal["speech_started"] = "speech_started"
    channel: int
    at: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEnded:
    """The speech detector heard speech until *at* (sessions with turns only). The turn may go on."""

    type: Literal["speech_ended"] = "speech_ended"
    channel: int
    at: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceHeard:
    """A sentence to translate, after the final that ends it (sessions with translation only).

    Not *final*: everything that is open, which may change. *audio*: 16-bit samples at 16 kHz, which begin *lead* before *start*;
    only for a translator that needs them.
    """

    type: Literal["sentence"] = "sentence"
    channel: int
    start: Samples
    end: Samples
    text: str
    speaker: SpeakerLabel | None = None
    final: bool = True
    audio: bytes = b""
    lead: Samples = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundStarted:
    """The audio event *kind* (of the contract's types) began at *start*; *confidence* 0..1. One at a time in a channel."""

    type: Literal["sound_started"] = "sound_started"
    channel: int
    kind: str
    start: Samples
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundEnded:
    """The audio event *kind*, which has started before, ended at *end*."""

    type: Literal["sound_ended"] = "sound_ended"
    channel: int
    kind: str
    end: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Speakers:
    """The *speakers* of the final words so far, with prints. *final*: unasked, before the end of a session with speakers.

    They come channel by channel, whose generic labels are independent of each other.
    """

    type: Literal["speakers"] = "speakers"
    speakers: tuple[Speaker, ...]
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """The work of the session since the event before, about once a second: *audio* of all channels, *decodes*, and those *skipped*
    because the session was behind. *seconds*: processor time of the process since it last reported any session.
    """

    type: Literal["worked"] = "worked"
    audio: Samples
    decodes: int
    skipped: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line for the log, without spoken text."""

    type: Literal["note"] = "note"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """All audio of *channel* is processed; it was *duration* long."""

    type: Literal["ended"] = "ended"
    channel: int
    duration: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """All channels have ended. The last event of a session that succeeds."""

    type: Literal["finished"] = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The session ended early, its last event. *kind*: `data_error` (audio that cannot be decoded) or `job_error`.

    *trace* is for the log only.
    """

    type: Literal["failed"] = "failed"
    kind: Literal["data_error", "job_error"]
    detail: str
    trace: str = ""


Event = (
    Opened
    | Taken
    | Final
    | Partial
    | UtteranceEnd
    | SpeechStarted
    | SpeechEnded
    | SentenceHeard
    | SoundStarted
    | SoundEnded
    | Speakers
    | Worked
    | Note
    | Ended
    | Finished
    | Failed
)
