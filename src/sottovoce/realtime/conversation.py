"""The protocol of one realtime session as a table of states and messages, without input, output or a clock.

It takes messages of the client, events of the recogniser and the time, and returns what to send and what to do. Section numbers
are those of the contract, `realtime.md`.

In order: states and limits; outputs; inputs of the session; `Conversation`: entry points, start, audio, other messages, results,
end, time; the table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sottovoce.inference import live_events as live
from sottovoce.request import LiveRequest
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Samples, Speaker, samples
from sottovoce.wire.realtime import beside, transcripts
from sottovoce.wire.realtime import messages as m
from sottovoce.wire.realtime import server_messages as server
from sottovoce.wire.realtime.config import ConfigWarning, Started
from sottovoce.wire.realtime.errors import CLOSE, NORMAL, ErrorType, SessionRefused, WarningType
from sottovoce.wire.realtime.transcripts import Passage, Style
from sottovoce.wire.realtime.warnings import few

MINUTE = 60.0
HOUR = 3600.0
MAX_SECONDS = 1e6
"""A longer `timestamp` of ForceEndOfUtterance is after the end of any session."""


class State(StrEnum):
    """Where a session is (§3)."""

    WAIT_START = "wait_start"
    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds (§10). *start*: until StartRecognition; *opening*: until the recogniser is ready; *silence*: without a byte of the
    client, pings included; *idle*: without audio; *session*: in all. Warnings are seconds before the limit.
    """

    start: float = 3 * MINUTE
    opening: float = 30.0
    silence: float = 3 * MINUTE
    idle: float = HOUR
    session: float = 48 * HOUR
    idle_warnings: tuple[float, ...] = (15 * MINUTE, 10 * MINUTE, 5 * MINUTE)
    session_warnings: tuple[float, ...] = (45 * MINUTE, 30 * MINUTE, 15 * MINUTE)


# ── outputs ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send *body* as one text message."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Admit and open the session; answer with `Admitted` and the event `Opened`, or with a `SessionRefused`."""

    started: Started


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Put *data* into the buffer of *channel*, and send *acknowledgement* as soon as it is there (§10)."""

    channel: int
    data: bytes
    acknowledgement: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """Go on with *request*."""

    request: LiveRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Force:
    """End the utterance of *channel* (`None`: of all) at *at*; `None`: at the end of the audio that was sent."""

    channel: int | None = None
    at: Samples | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSpeakers:
    """Ask the recogniser for the speakers so far; it answers with `Speakers`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndChannel:
    """No more audio of *channel*."""

    channel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """No more audio; process what is buffered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Close the socket."""

    code: int
    reason: str


Output = Send | Open | Feed | Configure | Force | ReportSpeakers | EndChannel | Finish | Close


# ── inputs of the session ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The session counts: *usage* of at most *quota* sessions of the caller; *at* is RFC 3339.

    *warnings*: about what this server cannot do of the config. *ignored*: speaker identifiers of the request that are not valid
    here.
    """

    usage: int
    quota: int
    at: str
    region: str
    warnings: tuple[ConfigWarning, ...] = ()
    ignored: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """*sentences* in the language *target*."""

    target: str
    sentences: tuple[beside.TranslatedSentence, ...]
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """The server is shutting down."""


Input = m.ClientMessage | live.Event | Translated | Admitted | Stopping | SessionRefused


@dataclass(slots=True, kw_only=True)
class _Channel:
    """One channel: its *label*, chunks received, and the ends of its last final and of its last transcript of any kind."""

    label: str | None = None
    chunks: int = 0
    ended: bool = False
    warned: bool = False  # that audio came after its end
    shown: bool = False  # its last partial has words
    forced: bool = False  # its last final is that of a forced end, which is not reported yet
    final: Samples = 0
    end: Samples = 0


@dataclass(slots=True, kw_only=True)
class Conversation:
    """The protocol of one session, opened at *opened_at* (seconds of any monotonic clock; every *now* is of the same).

    *language*: the one in the path of the URL, if any (§1.1).
    """

    session_id: str
    version: str
    opened_at: float
    limits: Limits = field(default_factory=Limits)
    language: str | None = None
    state: State = State.WAIT_START
    start_timeout: ErrorType = ErrorType.IDLE_TIMEOUT
    running: Started | None = None
    duration_limited: bool = False  # the server ended the session: audio is acknowledged and ignored
    error: ErrorType | None = None  # with which the session ended
    _channels: list[_Channel] = field(default_factory=lambda: [_Channel()])
    _began: float = 0.0
    _last_audio: float = 0.0
    _told: set[tuple[WarningType, float]] = field(default_factory=set)
    _speakers_wanted: bool = False
    _speakers_at_end: tuple[Speaker, ...] = ()

    # ── entry points ──

    def take(self, message: Input, now: float) -> list[Output]:
        """What to do about *message* at *now*, in order."""
        handler: Callable[[Any, float], list[Output]] = getattr(self, TABLE[self.state][type(message)])
        try:
            return handler(message, now)
        except SessionRefused as refused:
            return self._fail(refused, now)

    def parse(self, text: bytes, max_channels: int) -> m.ClientMessage:
        """The message of the client in *text*, for `take`. Raises `SessionRefused`."""
        return m.parse(text, m.Context(running=self.running, max_channels=max_channels))

    def audio_of(self, label: str | None) -> int:
        """The number of the channel *label*. Raises `SessionRefused` for one that the session does not have (§4.6)."""
        for number, channel in enumerate(self._channels):
            if channel.label == label:
                return number
        why = "AddAudio cannot be used in a session with channels: use AddChannelAudio"
        if label is not None:
            known = ", ".join(channel.label for channel in self._channels if channel.label is not None)
            why = f"must be one of {known}" if known else "cannot be used in a session without channels"
        raise SessionRefused(ErrorType.PROTOCOL_ERROR, why, at=None if label is None else "channel")

    # ── start ──

    def _start(self, message: m.StartRecognition, now: float) -> list[Output]:
        asked = message.started.request.language
        if self.language is not None and self.language != asked:  # §1.1
            why = f"must be {self.language}, the language in the address"
            raised = SessionRefused(ErrorType.INVALID_LANGUAGE, why, at="transcription_config.language")
            return self._fail(raised, now)
        self.state, self.running, self._began = State.STARTING, message.started, now
        request = message.started.request
        self._channels = [_Channel(label=label) for label in request.channels] or [_Channel()]
        self._speakers_wanted = request.speaker_diarization.get_speakers
        return [Open(started=message.started)]

    def _admitted(self, message: Admitted, _now: float) -> list[Output]:
        """§3, rules 1 and 2: usage first, then the warnings about the config, all before RecognitionStarted."""
        usage = server.concurrent_session_usage(message.usage, message.quota, message.at, message.region)
        warnings = [Send(body=server.warning(each.type, each.reason)) for each in self._warnings_of(message)]
        return [Send(body=usage), *warnings]

    def _warnings_of(self, message: Admitted) -> tuple[ConfigWarning, ...]:
        """The warnings about the config, with one about its speaker identifiers (§4.3)."""
        warnings = (*self._config.warnings, *message.warnings)
        if not message.ignored:
            return few(warnings)
        what = "1 speaker identifier is" if message.ignored == 1 else f"{message.ignored} speaker identifiers are"
        why = f"{what} ignored: not valid in this project or for the diarizer of realtime sessions"
        return few((*warnings, ConfigWarning(type=WarningType.SPEAKER_ID, reason=why)))

    def _opened(self, event: live.Opened, now: float) -> list[Output]:
        if self.state is State.STARTING:  # EndOfStream may have come already
            self.state = State.RUNNING
        self._began = self._last_audio = now
        request = self._config.request
        version = (
            f"{self.version}+{event.model}" if event.model else self.version
        )  # as the vendor: release, then recogniser
        return [
            Send(body=server.recognition_started(self.session_id, version, request)),
            Send(body=server.recognition_quality(request)),
        ]

    @property
    def _config(self) -> Started:
        if self.running is None:
            raise LookupError("the session has not started")
        return self.running

    # ── audio ──

    def _audio(self, message: m.AddAudio | m.AddChannelAudio, now: float) -> list[Output]:
        """§5, §10: one acknowledgement for each message, in order, however many bytes it has."""
        label = message.channel if isinstance(message, m.AddChannelAudio) else None
        number = self.audio_of(label)
        channel = self._channels[number]
        if channel.ended:
            return self._late(channel)
        channel.chunks += 1
        self._last_audio = now
        self._told = {told for told in self._told if told[0] is not WarningType.IDLE_TIMEOUT}
        return [Feed(channel=number, data=message.data, acknowledgement=server.audio_added(channel.chunks, label))]

    def _audio_after_end(self, message: m.AddAudio | m.AddChannelAudio, _now: float) -> list[Output]:
        label = message.channel if isinstance(message, m.AddChannelAudio) else None
        channel = self._channels[self.audio_of(label)]
        if self.duration_limited and not channel.ended:  # §8: acknowledged but ignored
            channel.chunks += 1
            return [Send(body=server.audio_added(channel.chunks, label))]
        return self._late(channel)

    def _late(self, channel: _Channel) -> list[Output]:
        """§8: audio after the end is ignored; one warning is enough for what was under way."""
        if channel.warned:
            return []
        channel.warned = True
        why = (
            "audio after EndOfStream is ignored"
            if channel.label is None
            else "audio after the end of its channel is ignored"
        )
        return [Send(body=server.warning(WarningType.ADD_AUDIO_AFTER_EOS, why))]

    def _end_of_channel(self, message: m.EndOfChannel, now: float) -> list[Output]:
        number = self.audio_of(message.channel)
        if self._channels[number].ended:
            return []
        self._channels[number].ended = True
        if all(channel.ended for channel in self._channels):  # §4.6: the session ends as with EndOfStream
            return self._finish(now)
        return [EndChannel(channel=number)]

    def _end_of_stream(self, _message: m.EndOfStream, now: float) -> list[Output]:
        for channel in self._channels:
            channel.ended = True
        return self._finish(now)

    def _finish(self, _now: float) -> list[Output]:
        self.state = State.DRAINING
        return [Finish()]

    # ── other messages ──

    def _set_config(self, message: m.SetRecognitionConfig, _now: float) -> list[Output]:
        """§4.6: there is no answer."""
        self.running = message.started
        return [Configure(request=message.started.request)]

    def _force(self, message: m.ForceEndOfUtterance, _now: float) -> list[Output]:
        """§4.6: *timestamp* may lie ahead of the audio processed so far; the recogniser waits for that audio."""
        number = None if message.channel is None else self.audio_of(message.channel)
        at = None if message.timestamp is None else samples(min(message.timestamp, MAX_SECONDS))
        return [Force(channel=number, at=at)]

    def _get_speakers(self, message: m.GetSpeakers, _now: float) -> list[Output]:
        """§4.6: now, each request has one answer; at the end, there is one for all."""
        if message.final:
            self._speakers_wanted = True
            return []
        if self._config.request.diarization.by_speaker:
            return [ReportSpeakers()]
        return [Send(body=server.speakers_result(()))]

    def _wrong_time(self, message: Any, now: float) -> list[Output]:
        name = type(message).__name__
        first = "the first message must be StartRecognition"
        why = f"{name} cannot be sent now: {first}" if self.state is State.WAIT_START else f"{name} was sent before"
        return self._fail(SessionRefused(ErrorType.PROTOCOL_ERROR, why), now)

    # ── results ──

    def _final(self, event: live.Final, _now: float) -> list[Output]:
        channel = self._channels[event.channel]
        channel.final, channel.forced = event.end, event.forced
        return [Send(body=transcripts.final(self._passage(event), self._style, forced=event.forced))]

    def _partial(self, event: live.Partial, _now: float) -> list[Output]:
        if not self._config.request.enable_partials:  # §4.3: none at all
            return []
        passage = self._passage(event)
        self._channels[event.channel].shown = bool(event.items)
        return [Send(body=transcripts.partial(passage, self._style))]

    def _utterance_end(self, event: live.UtteranceEnd, _now: float) -> list[Output]:
        """§4.6: a forced end has a forced final, made here if there were no words, then EndOfUtterance; a partial follows each
        final (§3).
        """
        channel = self._channels[event.channel]
        body = transcripts.end_of_utterance(event.at, channel.label, forced=event.forced)
        if not event.forced or channel.forced:
            channel.forced = False
            return [Send(body=body)]
        empty = Passage(start=min(channel.final, event.at), end=event.at, channel=channel.label)
        channel.final = event.at
        channel.end = max(channel.end, event.at)
        final = Send(body=transcripts.final(empty, self._style, forced=True))
        return [final, *self._empty_partial(channel), Send(body=body)]

    def _speakers(self, event: live.Speakers, _now: float) -> list[Output]:
        if event.final:
            self._speakers_at_end = event.speakers
            return []
        return [Send(body=server.speakers_result(event.speakers))]

    def _result_at_end(self) -> list[Output]:
        """SpeakersResult, if it is wanted at the end."""
        return [Send(body=server.speakers_result(self._speakers_at_end))] if self._speakers_wanted else []

    def _speech_started(self, _event: live.SpeechStarted, _now: float) -> list[Output]:
        return []  # a message of the Agent protocol only

    def _speech_ended(self, _event: live.SpeechEnded, _now: float) -> list[Output]:
        return []

    def _translated(self, message: Translated, _now: float) -> list[Output]:
        speakers = self._config.request.diarization.by_speaker
        body = beside.translation(message.target, message.sentences, speakers=speakers, final=message.final)
        return [Send(body=body)]

    def _sound_started(self, event: live.SoundStarted, _now: float) -> list[Output]:
        label = self._channels[event.channel].label
        return [Send(body=beside.audio_event_started(event.kind, event.start, event.confidence, label))]

    def _sound_ended(self, event: live.SoundEnded, _now: float) -> list[Output]:
        label = self._channels[event.channel].label
        return [Send(body=beside.audio_event_ended(event.kind, event.end, label))]

    def _empty_partial(self, channel: _Channel) -> list[Output]:
        if not self._config.request.enable_partials:
            return []
        channel.shown = False
        empty = Passage(start=channel.end, end=channel.end, channel=channel.label)
        return [Send(body=transcripts.partial(empty, self._style))]

    def _passage(self, event: live.Final | live.Partial) -> Passage:
        channel = self._channels[event.channel]
        channel.end = max(channel.end, event.end)
        return Passage(start=event.start, end=event.end, items=event.items, channel=channel.label)

    @property
    def _style(self) -> Style:
        request = self._config.request
        return Style(language=pack(request.language), speakers=request.diarization.by_speaker)

    # ── end ──

    def _finished(self, _event: live.Finished, _now: float) -> list[Output]:
        """§3 rule 6, §11: an empty last partial, SpeakersResult if asked for, and EndOfTranscript as the last message."""
        self.state = State.DONE
        stale = [output for channel in self._channels if channel.shown for output in self._empty_partial(channel)]
        code, reason = NORMAL
        return [*stale, *self._result_at_end(), Send(body=server.end_of_transcript()), Close(code=code, reason=reason)]

    def _failed(self, event: live.Failed, now: float) -> list[Output]:
        if event.kind == "data_error":
            return self._fail(SessionRefused(ErrorType.INVALID_AUDIO_TYPE, event.detail, at="audio_format"), now)
        why = "the recogniser of this session stopped; start a new session"  # the detail is for the log
        return self._fail(SessionRefused(ErrorType.JOB_ERROR, why), now)

    def _fail(self, refused: SessionRefused, _now: float) -> list[Output]:
        """§9: `Error`, then the close frame; nothing else follows (§3 rule 7)."""
        self.state, self.error = State.DONE, refused.error
        code, reason = CLOSE[refused.error]
        return [Send(body=server.error(refused.error, refused.detail)), Close(code=code, reason=reason)]

    def _stop_early(self, _message: Stopping, now: float) -> list[Output]:
        """Clients try again after `job_error` (§9); a socket that is closed without an `Error` looks like a refusal to them."""
        return self._fail(SessionRefused(ErrorType.JOB_ERROR, "the server is shutting down; connect again"), now)

    def _stop(self, _message: Stopping, now: float) -> list[Output]:
        """§8: the session ends as with EndOfStream; what the client still sends is acknowledged and ignored."""
        self.duration_limited = True
        limit = round(now - self._began, 2)
        why = "the server is shutting down: audio that is sent from now on is not transcribed"
        warning = server.warning(WarningType.DURATION_LIMIT_EXCEEDED, why, duration_limit=limit)
        return [Send(body=warning), *self._finish(now)]

    def _ignore(self, _message: Any, _now: float) -> list[Output]:
        return []

    # ── time ──

    def due(self, heard: float) -> float | None:
        """The time at which `tick` has something to do; *heard*: when the client's last byte arrived."""
        return min((at for at, _ in self._deadlines(heard)), default=None)

    def tick(self, now: float, heard: float) -> list[Output]:
        """What is due at *now*: warnings before a limit, or the error at the limit (§8–§10)."""
        outputs: list[Output] = []
        for at, act in sorted(self._deadlines(heard), key=lambda deadline: deadline[0]):
            if at <= now and self.state is not State.DONE:
                outputs += act(now)
        return outputs

    def _deadlines(self, heard: float) -> list[tuple[float, Callable[[float], list[Output]]]]:
        limits = self.limits
        if self.state is State.WAIT_START:
            why = f"no StartRecognition within {limits.start:.0f} seconds"
            return [(self.opened_at + limits.start, self._timeout(self.start_timeout, why))]
        if self.state is State.STARTING:
            why = "the recogniser did not become ready in time; start the session again"
            return [(self._began + limits.opening, self._timeout(ErrorType.JOB_ERROR, why))]
        if self.state is not State.RUNNING:
            return []
        silent = f"neither audio nor a ping within {limits.silence:.0f} seconds"
        idle = f"no audio within {limits.idle / MINUTE:g} minutes"
        over = f"the session has reached its maximum of {limits.session / HOUR:g} hours"
        return [
            (heard + limits.silence, self._timeout(ErrorType.IDLE_TIMEOUT, silent)),
            (self._last_audio + limits.idle, self._timeout(ErrorType.IDLE_TIMEOUT, idle)),
            (self._began + limits.session, self._timeout(ErrorType.SESSION_TIMEOUT, over)),
            *self._warnings(WarningType.IDLE_TIMEOUT, self._last_audio, limits.idle, limits.idle_warnings),
            *self._warnings(WarningType.SESSION_TIMEOUT, self._began, limits.session, limits.session_warnings),
        ]

    def _timeout(self, error: ErrorType, why: str) -> Callable[[float], list[Output]]:
        return lambda now: self._fail(SessionRefused(error, why), now)

    def _warnings(
        self, kind: WarningType, since: float, limit: float, before: tuple[float, ...]
    ) -> list[tuple[float, Callable[[float], list[Output]]]]:
        return [
            (since + limit - left, self._warn(kind, left, limit))
            for left in before
            if left < limit and (kind, left) not in self._told
        ]

    def _warn(self, kind: WarningType, left: float, limit: float) -> Callable[[float], list[Output]]:
        """§8: the texts are those of the contract; *left* seconds before *limit*."""
        minutes, passed = f"{left / MINUTE:g}m", f"{(limit - left) / MINUTE:g}m"
        why = {
            WarningType.IDLE_TIMEOUT: f"due to inactivity, no audio sent within the last {passed}",
            WarningType.SESSION_TIMEOUT: f"due to max duration, session has been active for {passed}",
        }[kind]

        def warn(_now: float) -> list[Output]:
            self._told.add((kind, left))
            return [Send(body=server.warning(kind, f"Session will timeout in {minutes} {why}"))]

        return warn


_ROWS: Mapping[type, tuple[str, str, str, str]] = {
    # message                 WAIT_START          STARTING            RUNNING             DRAINING  (§3)
    m.StartRecognition:      ("start",            "wrong_time",       "wrong_time",       "wrong_time"),
    m.AddAudio:              ("wrong_time",       "audio",            "audio",            "audio_after_end"),
    m.AddChannelAudio:       ("wrong_time",       "audio",            "audio",            "audio_after_end"),
    m.EndOfChannel:          ("wrong_time",       "end_of_channel",   "end_of_channel",   "ignore"),
    m.EndOfStream:           ("wrong_time",       "end_of_stream",    "end_of_stream",    "ignore"),
    m.SetRecognitionConfig:  ("wrong_time",       "set_config",       "set_config",       "ignore"),
    m.ForceEndOfUtterance:   ("wrong_time",       "force",            "force",            "ignore"),
    m.GetSpeakers:           ("wrong_time",       "get_speakers",     "get_speakers",     "get_speakers"),
    Admitted:                ("ignore",           "admitted",         "ignore",           "admitted"),
    Stopping:                ("stop_early",       "stop_early",       "stop",             "ignore"),
    SessionRefused:          ("fail",             "fail",             "fail",             "fail"),
    live.Opened:             ("ignore",           "opened",           "ignore",           "opened"),
    live.Taken:              ("ignore",           "ignore",           "ignore",           "ignore"),
    live.Worked:             ("ignore",           "ignore",           "ignore",           "ignore"),
    live.Note:               ("ignore",           "ignore",           "ignore",           "ignore"),
    live.Ended:              ("ignore",           "ignore",           "ignore",           "ignore"),
    live.Final:              ("ignore",           "ignore",           "final",            "final"),
    live.Partial:            ("ignore",           "ignore",           "partial",          "partial"),
    live.UtteranceEnd:       ("ignore",           "ignore",           "utterance_end",    "utterance_end"),
    live.Speakers:           ("ignore",           "ignore",           "speakers",         "speakers"),
    live.SpeechStarted:      ("ignore",           "ignore",           "speech_started",   "speech_started"),
    live.SpeechEnded:        ("ignore",           "ignore",           "speech_ended",     "speech_ended"),
    live.SentenceHeard:      ("ignore",           "ignore",           "ignore",           "ignore"),
    live.SoundStarted:       ("ignore",           "ignore",           "sound_started",    "sound_started"),
    live.SoundEnded:         ("ignore",           "ignore",           "sound_ended",      "sound_ended"),
    Translated:              ("ignore",           "ignore",           "translated",       "translated"),
    live.Finished:           ("ignore",           "ignore",           "finished",         "finished"),
    live.Failed:             ("ignore",           "failed",           "failed",           "failed"),
}  # fmt: skip
"""What each message does in each state; in `DONE` nothing does anything (§3 rules 6 and 7)."""

_STATES = (State.WAIT_START, State.STARTING, State.RUNNING, State.DRAINING)
TABLE: Mapping[State, Mapping[type, str]] = {
    **{state: {kind: f"_{row[number]}" for kind, row in _ROWS.items()} for number, state in enumerate(_STATES)},
    State.DONE: dict.fromkeys(_ROWS, "_ignore"),
}
"""The method of `Conversation` for each message in each state."""
