"""The messages between parent and child: one frozen dataclass per message, framed as header and payload.

A frame is two big-endian 32-bit lengths, a JSON header, and a binary payload (items, a transcript). JSON and raw bytes
only: neither side can make the other execute code.
"""

import struct
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from sottovoce.audio.tracks import Wanted
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.gaps import StageGap
from sottovoce.engines.protocols import AnySkill
from sottovoce.errors import Kind
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.pipeline.live.events import Event
from sottovoce.request import LiveRequest, TranscriptionRequest
from sottovoce.transcript.model import Samples

MAX_HEADER = 8 << 20
MAX_PAYLOAD = 512 << 20
"""Bytes."""
_LENGTHS = struct.Struct(">II")
PREFIX = _LENGTHS.size
"""Bytes of the two lengths before a header."""


# parent to child


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe:
    """Transcribe the file at *path*; *windows* frames of finished windows follow.

    *engines*: the engine for each skill that the request needs (`engines/resolution.py`); the child's own need not be there.
    *gaps*: the stages of speech intelligence that the server cannot run. *known*: the voices that the request names.
    *track*: of the file; without it the setting decides, and without that the file.
    """

    kind: Literal["transcribe"] = "transcribe"
    path: str
    request: TranscriptionRequest
    gaps: tuple[StageGap, ...] = ()
    windows: int = 0
    engines: dict[AnySkill, EngineKey] = field(default_factory=dict)
    known: tuple[KnownVoice, ...] = ()
    track: Wanted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Align:
    """Align a text with the file at *path*; payload: the text in UTF-8. *windows* frames of finished windows follow.

    *track*: as of `Transcribe`.
    """

    kind: Literal["align"] = "align"
    path: str
    language: str
    windows: int = 0
    track: Wanted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspect:
    """Report the media properties of the file at *path*."""

    kind: Literal["inspect"] = "inspect"
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparePlayback:
    """Make the peaks of the media at *path*, the payload of `Finished`, and at *target* a copy for browsers if it needs one."""

    kind: Literal["playback"] = "playback"
    path: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStage:
    """Run the stage *stage* of speech intelligence with the engine *key*; payload: the stored transcript (`stages.process`).

    *part*: what the run is for, of a stage with parts; the process of the stages chooses the engine of each part.
    """

    kind: Literal["run_stage"] = "run_stage"
    stage: str
    part: str = ""
    key: EngineKey | None
    path: str
    track: int
    request: TranscriptionRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Translate:
    """Translate the sentences *texts* from *language* to *target*; payload: the audio of a single one, or nothing.

    The audio is 16-bit samples at 16 kHz; the sentence begins after *lead* samples and has *length*.
    """

    kind: Literal["translate"] = "translate"
    language: str
    target: str
    texts: tuple[str, ...]
    lead: Samples = 0
    length: Samples = 0


# parent to child: live sessions, of which one child has several


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOpen:
    """Begin the live session *session*, a number that the parent has not used before; *engines* and *known* as in `Transcribe`."""

    kind: Literal["live_open"] = "live_open"
    session: int
    request: LiveRequest
    engines: dict[AnySkill, EngineKey] = field(default_factory=dict)
    known: tuple[KnownVoice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAudio:
    """Audio of a channel; payload: its bytes, in the format of the request."""

    kind: Literal["live_audio"] = "live_audio"
    session: int
    channel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveForceEnd:
    """End the utterance of *channel* (None: of all) at *at*, or at the end of the audio that was sent before."""

    kind: Literal["live_force_end"] = "live_force_end"
    session: int
    channel: int | None
    at: Samples | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfigure:
    """Use the settings of *request* from now on."""

    kind: Literal["live_configure"] = "live_configure"
    session: int
    request: LiveRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveReportSpeakers:
    """Report the speakers so far."""

    kind: Literal["live_report_speakers"] = "live_report_speakers"
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEnd:
    """The audio of *channel* (None: of all) has ended."""

    kind: Literal["live_end"] = "live_end"
    session: int
    channel: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveClose:
    """Drop the session at once; the child reports nothing more of it."""

    kind: Literal["live_close"] = "live_close"
    session: int


LiveMessage = LiveOpen | LiveAudio | LiveForceEnd | LiveConfigure | LiveReportSpeakers | LiveEnd | LiveClose


# both ways


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowDone:
    """A window of one channel is recognised; payload: its items. *start* and *end* in samples; the next window begins at *end*."""

    kind: Literal["window"] = "window"
    channel: int
    start: Samples
    end: Samples


# child to parent


@dataclass(frozen=True, slots=True, kw_only=True)
class StretchDone:
    """A stretch is recognised, for clients that read along; payload: its formatted items, in *language*. Times in samples."""

    kind: Literal["stretch"] = "stretch"
    start: Samples
    end: Samples
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The engine is loaded; *seconds*: the time it took. *decode*: processor seconds of one decode of a live session."""

    kind: Literal["ready"] = "ready"
    seconds: float
    decode: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """The properties of the media. *duration* in samples, None if the headers have none; *rate* in Hz."""

    kind: Literal["media"] = "media"
    duration: Samples | None
    channels: int
    rate: int
    codec: str
    container: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of the pipeline begins; *note* is for the job's log, *trace* is the stack trace of a stage that failed."""

    kind: Literal["stage"] = "stage"
    name: str
    note: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Samples processed, and in all (None: unknown). The parent's stall timeout restarts with each message."""

    kind: Literal["progress"] = "progress"
    done: Samples
    total: Samples | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The task is done; payload: the stored form of the transcript or alignment (empty for an inspection), or the peaks.

    *duration* in samples; *rss*: resident memory of the child in bytes.
    """

    kind: Literal["finished"] = "finished"
    duration: Samples = 0
    rss: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The task is rejected because of its input; a retry cannot succeed."""

    kind: Literal["declined"] = "declined"
    refusal: Kind
    why: str
    at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The child could not load its engine, or a task raised an exception. *error* is for the log, *why* for the caller."""

    kind: Literal["broken"] = "broken"
    error: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDone:
    """A stage is done; payload: its result as JSON."""

    kind: Literal["stage_done"] = "stage_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFault:
    """A stage has no result. *type*: of the contract's error list, with the message *why*; empty: *why* is a stack trace."""

    kind: Literal["stage_fault"] = "stage_fault"
    type: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """The answer to `Translate`: *texts* in the target language, in order; empty for one that has no translation."""

    kind: Literal["translated"] = "translated"
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveReport:
    """An event of a live session; payload: the items of a final or partial, which *event* is without."""

    kind: Literal["live_report"] = "live_report"
    session: int
    event: Annotated[Event, Field(discriminator="type")]


Message = Annotated[
    Transcribe
    | Align
    | Inspect
    | PreparePlayback
    | RunStage
    | StageDone
    | StageFault
    | Translate
    | Translated
    | LiveMessage
    | LiveReport
    | WindowDone
    | StretchDone
    | Ready
    | Media
    | Stage
    | Progress
    | Finished
    | Declined
    | Broken,
    Field(discriminator="kind"),
]
_MESSAGES: TypeAdapter[Message] = TypeAdapter(
    Message, config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
)


def encode(message: Message, payload: bytes = b"") -> bytes:
    """Return the frame of *message*. Raises ValueError for one that exceeds `MAX_HEADER` or `MAX_PAYLOAD`."""
    header = _MESSAGES.dump_json(message)
    if len(header) > MAX_HEADER or len(payload) > MAX_PAYLOAD:
        raise ValueError(f"{message.kind} frame too large: {len(header)} + {len(payload)} bytes")
    return _LENGTHS.pack(len(header), len(payload)) + header + payload


def lengths(prefix: bytes) -> tuple[int, int]:
    """Return the header and payload lengths, in bytes, of the frame that begins with *prefix* (8 bytes). Raises ValueError."""
    if len(prefix) != PREFIX:
        raise ValueError(f"a frame begins with {PREFIX} bytes of lengths, not {len(prefix)}")
    header, payload = _LENGTHS.unpack(prefix)
    if header > MAX_HEADER or payload > MAX_PAYLOAD:
        raise ValueError(f"frame too large: {header} + {payload} bytes")
    return header, payload


def decode(header: bytes) -> Message:
    """Return the message in a frame's header. Raises ValueError."""
    return _MESSAGES.validate_json(header)
