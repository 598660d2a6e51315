"""What a session needs from outside: a socket, a recogniser, the count of sessions, speaker identifiers, and measurements."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from sottovoce.inference.live_events import Event, SentenceHeard
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.realtime.conversation import Admitted
from sottovoce.request import LiveRequest
from sottovoce.transcript.model import Samples, Speaker
from sottovoce.wire.realtime.config import ConfigWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message of the client; *text*: of type text, in UTF-8 unless the client breaks the rules."""

    data: bytes
    text: bool


class Socket(Protocol):
    """An accepted WebSocket."""

    async def receive(self) -> Received | None:
        """The next message; `None` once the client is gone. While it is not called, the client is slowed down."""
        ...

    async def lost(self) -> None:
        """Wait until the client is gone, also while its messages are not received."""
        ...

    async def send(self, text: str) -> None:
        """Send a text message; waits while the client does not read. A client that is gone is no error."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame."""
        ...

    def abort(self) -> None:
        """Cut the connection without waiting for the client."""
        ...

    def expect(self, rate: float | None) -> None:
        """The client will send audio of *rate* bytes per second, so that little of it waits unread; `None`: unknown."""
        ...

    def heard(self, now: float) -> float:
        """When the last byte of the client arrived; *now* while the client is slowed down, because it cannot send then."""
        ...


class LiveSession(Protocol):
    """A recogniser of one session (`inference/live.py`)."""

    async def send(self, channel: int, data: bytes) -> None:
        """Put *data* into the buffer; waits while it is full."""
        ...

    async def force_end(self, channel: int | None, at: Samples | None) -> None:
        """End the utterance of *channel* (`None`: of all) at *at*; `None`: at the end of the audio that was sent."""
        ...

    async def configure(self, request: LiveRequest) -> None:
        """Go on with *request*."""
        ...

    async def report_speakers(self) -> None:
        """Ask for the event `Speakers`."""
        ...

    async def end_channel(self, channel: int) -> None:
        """No more audio of *channel*."""
        ...

    async def finish(self) -> None:
        """No more audio."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """What happens, until `Finished` or `Failed`."""
        ...


class Translator(Protocol):
    """Translates sentences of a session into one language."""

    @property
    def partials(self) -> bool:
        """True if it can translate a sentence that is not final: it needs the text alone."""
        ...

    async def prepare(self) -> None:
        """Get ready, so that the first sentence does not wait. Raises if that is impossible."""
        ...

    async def translate(self, sentences: Sequence[SentenceHeard]) -> Sequence[str]:
        """The text of each of *sentences*, empty for one without a translation. Raises if the translator fails."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What the server does of a request: *request* without what it cannot do, its *warnings*, the *translators* by target."""

    request: LiveRequest
    warnings: tuple[ConfigWarning, ...] = ()
    translators: Mapping[str, Translator] = field(default_factory=dict)


class Planner(Protocol):
    """Decides what the server does of a request."""

    def __call__(self, request: LiveRequest) -> Served:
        """What is done of *request*."""
        ...


class Opener(Protocol):
    """Opens recognisers."""

    def __call__(self, request: LiveRequest, known: Sequence[KnownVoice]) -> AbstractAsyncContextManager[LiveSession]:
        """A recogniser for *request*, which names the voices *known*; leaving the context frees it.

        Raises `Refused`, or `LiveFull` without room.
        """
        ...


class VoiceCodec(Protocol):
    """Speaker identifiers of the caller's project. The calls take time; use threads."""

    def known(self, request: LiveRequest) -> tuple[tuple[KnownVoice, ...], int]:
        """The voices that *request* names, and the number of its identifiers that are not valid."""
        ...

    def encrypted(self, speakers: Sequence[Speaker]) -> tuple[Speaker, ...]:
        """*speakers* with an identifier in place of each voice print."""
        ...


class Ledger(Protocol):
    """Counts the sessions of a caller."""

    async def enter(self, request: LiveRequest) -> Admitted:
        """Count the session. Raises `Refused` if the caller has as many as it may have."""
        ...

    async def leave(self, request: LiveRequest, audio: float | None) -> None:
        """Count it no longer, and record its *audio*, seconds of all channels; `None`: it had no recogniser, so it was none."""
        ...


class Observer(Protocol):
    """Measurements of a session, in seconds."""

    def final(self, delay: float) -> None:
        """A final came *delay* after the audio of its last word."""
        ...

    def partial(self, delay: float) -> None:
        """A partial came *delay* after the audio of its last word."""
        ...

    def audio(self, seconds: float) -> None:
        """*seconds* of audio were processed."""
        ...

    def decodes(self, done: int, skipped: int) -> None:
        """Audio was decoded *done* times, and *skipped* times less than planned because the session was behind."""
        ...

    def translated(self, done: int, left_out: int) -> None:
        """*done* sentences were translated into one language, and *left_out* were not."""
        ...
