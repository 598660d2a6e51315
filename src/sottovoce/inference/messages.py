"""What parent and child say to each other: one frozen dataclass a message, framed as header and payload.

A frame is two big-endian 32-bit lengths, a JSON header, and a binary payload (items, a transcript). JSON and raw bytes only:
neither side can make the other run code.
"""

import struct
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from sottovoce.errors import Kind
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import Samples, StageError

MAX_HEADER = 8 << 20
MAX_PAYLOAD = 512 << 20
_LENGTHS = struct.Struct(">II")
PREFIX = _LENGTHS.size


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKey:
    """What a child has loaded: which engine with which model on which device."""

    engine: str
    model: str = ""
    device: str = "cpu"


# parent to child


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe:
    """Make a transcript of the file at *path*; *windows* frames of finished windows follow.

    *diarizer* tells speakers apart, where the request wants that; *known* are the voices that it names.
    """

    kind: Literal["transcribe"] = "transcribe"
    path: str
    request: TranscriptionRequest
    errors: tuple[StageError, ...] = ()
    windows: int = 0
    diarizer: EngineKey | None = None
    known: tuple[KnownVoice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Align:
    """Find the words of a text in the file at *path*; payload: the text in UTF-8. *windows* frames of windows follow."""

    kind: Literal["align"] = "align"
    path: str
    language: str
    windows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspect:
    """Say what media the file at *path* is."""

    kind: Literal["inspect"] = "inspect"
    path: str


# both ways


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowDone:
    """A window of one channel is recognised; payload: its items. `start … end` in samples, *end* is where to go on."""

    kind: Literal["window"] = "window"
    channel: int
    start: Samples
    end: Samples


# child to parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The engine is loaded."""

    kind: Literal["ready"] = "ready"
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What the media is. *duration* `None`: only decoding will tell."""

    kind: Literal["media"] = "media"
    duration: Samples | None
    channels: int
    rate: int
    codec: str
    container: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of the pipeline begins; *note* is for the job's log."""

    kind: Literal["stage"] = "stage"
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Samples recognised of all (`None`: unknown): also the sign of life that the watchdog waits for."""

    kind: Literal["progress"] = "progress"
    done: Samples
    total: Samples | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The task is done; payload: the stored form of the transcript or alignment (empty for an inspection). *rss* in bytes."""

    kind: Literal["finished"] = "finished"
    duration: Samples = 0
    rss: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The task cannot be done, whoever tries: the caller's fault."""

    kind: Literal["declined"] = "declined"
    refusal: Kind
    why: str
    at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Our fault: the child could not load its engine or met a bug. *error* is for the log only."""

    kind: Literal["broken"] = "broken"
    error: str
    why: str = ""


Message = Annotated[
    Transcribe | Align | Inspect | WindowDone | Ready | Media | Stage | Progress | Finished | Declined | Broken,
    Field(discriminator="kind"),
]
_MESSAGES: TypeAdapter[Message] = TypeAdapter(
    Message, config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
)


def encode(message: Message, payload: bytes = b"") -> bytes:
    """The frame of *message*."""
    header = _MESSAGES.dump_json(message)
    if len(header) > MAX_HEADER or len(payload) > MAX_PAYLOAD:
        raise ValueError(f"{message.kind} frame too large: {len(header)} + {len(payload)} bytes")
    return _LENGTHS.pack(len(header), len(payload)) + header + payload


def lengths(prefix: bytes) -> tuple[int, int]:
    """Header and payload lengths of the frame that begins with *prefix* (8 bytes). Raises ValueError."""
    if len(prefix) != PREFIX:
        raise ValueError(f"{len(prefix)} bytes are no beginning of a frame")
    header, payload = _LENGTHS.unpack(prefix)
    if header > MAX_HEADER or payload > MAX_PAYLOAD:
        raise ValueError(f"frame too large: {header} + {payload} bytes")
    return header, payload


def decode(header: bytes) -> Message:
    """The message of a frame's header. Raises ValueError."""
    return _MESSAGES.validate_json(header)
