"""A live session: its channels, the audio that arrives for them, and its events.

The session is passive, as its channels are: `work` is called by a thread that has time for it. Audio waits as bytes until the
channels have room, and `Taken` reports what has left the buffer, so that the sender can be slowed down.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sottovoce.audio.activity import QuietFilter, SpeechProbability, VolumeTrack
from sottovoce.audio.live_file import LiveFile
from sottovoce.audio.pcm import Encoding, PcmDecoder
from sottovoce.engines.protocols import Hints, LiveDiarizationHints, LiveDiarizers, LiveRecognizer
from sottovoce.errors import EngineUnavailable
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.beside.listeners import Listeners
from sottovoce.pipeline.live.channel import ChannelParts, LiveChannel, Work
from sottovoce.pipeline.live.formatting import LiveFormatter
from sottovoce.pipeline.live.labelling import LabelledFinals, holding_of
from sottovoce.pipeline.live.policy import LivePolicy, policy_of
from sottovoce.pipeline.live.segments import SegmentChannel, turn_policy
from sottovoce.pipeline.live.speakers import SpeakerTrack
from sottovoce.request import AudioType, LiveRequest
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MOST_BACKLOG: Samples = 10 * RATE
"""Decoded audio (10 s) that a channel holds; further bytes wait undecoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diarization:
    """What finds the speakers of a session: *engine*, and the *known* voices that the request names."""

    engine: LiveDiarizers
    known: tuple[KnownVoice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _ForcedEnd:
    at: Samples | None


_END = None  # the end of a channel's audio, in its inbox

_Input = bytes | _ForcedEnd | None

Channel = LiveChannel | SegmentChannel


class _Source:
    """The audio of one channel: bytes in order, with the commands between them, decoded when the channel has room."""

    def __init__(
        self,
        request: LiveRequest,
        number: int,
        emit: Callable[[events.Event], None],
        heard: "Callable[[int, Floats], None]",
    ) -> None:
        self._heard = heard
        self._inbox: deque[_Input] = deque()
        self._number = number
        self._emit = emit
        self._quiet: QuietFilter | None = None
        self.configure(request)
        audio = request.audio
        self._file = LiveFile() if audio.type is AudioType.FILE else None
        self._pcm: PcmDecoder | None = (
            PcmDecoder(Encoding(str(audio.encoding)), audio.sample_rate or RATE) if self._file is None else None
        )
        self._ended = False

    def configure(self, request: LiveRequest) -> None:
        """Silence what is quieter than the request wants (contract `realtime.md` §4.3)."""
        if request.audio_filtering is not None:
            self._quiet = self._quiet or QuietFilter(0.0)
        if self._quiet is not None:
            self._quiet.threshold = request.audio_filtering.volume_threshold if request.audio_filtering else 0.0

    def put(self, entry: _Input) -> None:
        self._inbox.append(entry)

    @property
    def waiting(self) -> bool:
        """True if the inbox has an entry."""
        return bool(self._inbox)

    @property
    def polling(self) -> bool:
        """True if a file may yield audio without further input."""
        return self._file is not None and self._ended and not self._file.done()

    def feed(self, channel: Channel) -> bool:
        """Move entries to *channel* while it has room; True if any moved."""
        moved = False
        while self._inbox and channel.backlog < MOST_BACKLOG and not (self._file and self._file.full):
            entry = self._inbox.popleft()
            moved = True
            match entry:
                case bytes():
                    self._audio(entry, channel)
                case _ForcedEnd():
                    channel.force_end(entry.at)
                case None:
                    self._end(channel)
        return self._poll(channel) or moved

    def _audio(self, data: bytes, channel: Channel) -> None:
        if self._file is not None:
            self._file.push(data)
        if self._pcm is not None:
            self._push(self._pcm.push(data), channel)
        self._emit(events.Taken(channel=self._number, size=len(data)))

    def _end(self, channel: Channel) -> None:
        self._ended = True
        if self._file is not None:
            self._file.finish()
        if self._pcm is not None:
            self._push(self._pcm.flush(), channel)
            self._finish(channel)

    def _push(self, audio: "Floats", channel: Channel) -> None:
        self._heard(self._number, audio)
        channel.push(audio if self._quiet is None else self._quiet.push(audio))

    def _finish(self, channel: Channel) -> None:
        if self._quiet is not None:
            channel.push(self._quiet.flush())
        channel.finish()

    def _poll(self, channel: Channel) -> bool:
        """Move the decoded audio of a file to *channel*; True if there was any. Raises ValueError for a file that is none."""
        if self._file is None or self._file.done():
            return False
        moved = False
        patience = 0.05 if self._ended or self._file.full else 0.0  # seconds; until then nothing else can be done
        while channel.backlog < MOST_BACKLOG and (audio := self._file.poll(patience)) is not None:
            self._push(audio, channel)
            moved = True
        if self._file.done():
            if self._file.error is not None:
                raise ValueError(self._file.error)
            self._finish(channel)
            return True
        return moved

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class LiveSession:
    """One session. *emit* receives its events, in order; *clock* returns seconds of any clock; *diarization*: for a request
    with speakers. Not thread-safe.

    Raises `EngineUnavailable` for a language that *recognizer* does not support, `Refused` for an impossible sample rate.
    """

    def __init__(
        self,
        request: LiveRequest,
        recognizer: LiveRecognizer,
        make_vad: Callable[[], SpeechProbability],
        emit: Callable[[events.Event], None],
        clock: Callable[[], float],
        *,
        diarization: Diarization | None = None,
    ) -> None:
        if request.language not in recognizer.capabilities.languages:
            raise EngineUnavailable(f"language {request.language!r} is not available for realtime on this server")
        self._listeners = Listeners(request, emit)
        emit = self._emit = self._listeners.emit
        self._request = request
        self._finished = False
        stream_hints = Hints(
            language=request.language, operating_point=request.operating_point, vocab=request.additional_vocab
        )
        self._formatters: list[LiveFormatter] = []
        self._channels: list[Channel] = []
        self._sources: list[_Source] = []
        self._tracks: list[SpeakerTrack] = []
        self._labelled: list[LabelledFinals] = []
        for number in range(request.channel_count):
            volume = VolumeTrack() if request.audio_filtering is not None else None
            formatter = LiveFormatter(
                request,
                pack(request.language),
                punctuated=recognizer.capabilities.punctuates,
                volume=volume,
                failed=self._left_out,
            )
            parts = ChannelParts(
                number=number,
                stream=recognizer.open(stream_hints),
                vad=make_vad(),
                formatter=formatter,
                volume=volume,
                partials=request.needs_partials,
                emit=emit,
                clock=clock,
            )
            if diarization is not None and request.diarization.by_speaker:
                parts = self._with_speakers(parts, diarization)
            self._formatters.append(formatter)
            self._channels.append(_channel(parts, request))
            self._sources.append(_Source(request, number, emit, self._listeners.heard))
        self._ending = [False] * len(self._channels)
        emit(events.Opened(model=recognizer.capabilities.model))

    def _with_speakers(self, parts: ChannelParts, diarization: Diarization) -> ChannelParts:
        """Return *parts* of a channel whose words get speakers."""
        request = self._request
        track = SpeakerTrack(
            diarization.engine.open(_hints(request, diarization.known)),
            prefer_current=request.speaker_diarization.prefer_current_speaker,
        )
        self._tracks.append(track)
        if request.turns is not None:
            return replace(parts, speakers=track, listen=track.hear)
        labelled = LabelledFinals(parts.number, track, parts.emit, holding_of(request, _policy(request).step))
        self._labelled.append(labelled)
        return replace(parts, emit=labelled.emit, listen=labelled.hear)

    # ── input ──

    def audio(self, channel: int, data: bytes) -> None:
        """Add bytes of *channel* in the format of the request."""
        if not self._ending[channel]:
            self._sources[channel].put(data)

    def force_end(self, channel: int | None, at: Samples | None) -> None:
        """End the utterance of *channel*, or of all, at *at*, or at the end of the audio that was sent before."""
        for number in range(len(self._channels)) if channel is None else [channel]:
            self._sources[number].put(_ForcedEnd(at=at))

    def end(self, channel: int | None) -> None:
        """End *channel*, or all of them, after the audio that was sent."""
        for number in range(len(self._channels)) if channel is None else [channel]:
            if not self._ending[number]:
                self._ending[number] = True
                self._sources[number].put(_END)

    def configure(self, request: LiveRequest) -> None:
        """Use the settings of *request* that may change within a session (contract `realtime.md` §4.6)."""
        request = self._request = replace(
            self._request,
            max_delay=request.max_delay,
            max_delay_mode=request.max_delay_mode,
            audio_filtering=request.audio_filtering,
            enable_partials=request.enable_partials,
            end_of_utterance_silence_trigger=request.end_of_utterance_silence_trigger,
        )
        for channel, formatter, source in zip(self._channels, self._formatters, self._sources, strict=True):
            channel.configure(_policy(request), partials=request.needs_partials)
            if request.audio_filtering is not None:
                formatter.volume = channel.measure_volume()
            formatter.configure(request)
            source.configure(request)
        for labelled in self._labelled:
            labelled.configure(holding_of(request, _policy(request).step))

    def report_speakers(self, *, final: bool = False) -> None:
        """Report the speakers of the final words so far."""
        found = tuple(speaker for track in self._tracks for speaker in track.speakers())
        self._emit(events.Speakers(speakers=found, final=final))

    def worked(self) -> Work:
        """What all channels did since the last call."""
        done = [channel.worked() for channel in self._channels]
        return Work(
            audio=sum(each.audio for each in done),
            decodes=sum(each.decodes for each in done),
            skipped=sum(each.skipped for each in done),
        )

    # ── work ──

    def work(self) -> bool:
        """Do at most one decode of each channel; True if more can be done now. Raises ValueError for media that is no audio."""
        more = False
        for source, channel in zip(self._sources, self._channels, strict=True):
            fed = source.feed(channel)
            busy = channel.work()
            more = more or fed or busy or (source.waiting and not channel.ended) or source.polling
        if all(channel.ended for channel in self._channels) and not self._finished:
            self._finished = True
            if self._tracks:
                self.report_speakers(final=True)
            self._emit(events.Finished())
        return more and not self._finished

    def close(self) -> None:
        """Free what the session holds."""
        for source in self._sources:
            source.close()

    def _left_out(self, name: str, error: Exception) -> None:
        self._emit(events.Note(text=f"{name} left out: {type(error).__name__}"))


def _hints(request: LiveRequest, known: Sequence[KnownVoice]) -> LiveDiarizationHints:
    wanted = request.speaker_diarization
    return LiveDiarizationHints(
        sensitivity=wanted.speaker_sensitivity,
        prefer_current=wanted.prefer_current_speaker,
        max_speakers=wanted.max_speakers,
        known=tuple((voice.label, each) for voice in known for each in voice.prints),
    )


def _channel(parts: ChannelParts, request: LiveRequest) -> Channel:
    if request.turns is None:
        return LiveChannel(parts, _policy(request))
    return SegmentChannel(parts, _policy(request), request.turns, request.language)


def _policy(request: LiveRequest) -> LivePolicy:
    policy = policy_of(request)
    return policy if request.turns is None else turn_policy(policy, request.turns)
