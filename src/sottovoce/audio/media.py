"""Media files: their properties, and their audio as float32 at 16 kHz in blocks of bounded size.

Files are untrusted. libavformat gets an open file without a name, so the content alone decides the format; only listed
demuxers and audio decoders may run, and the open file is the only protocol, so a playlist or session description cannot
open anything else. Damaged packets are counted and skipped. Sample 0 is the beginning of the media, which is not always
that of its audio (`media_time`).
In order: the limits; `Probe`, `probe` and `choose`; `Decoder`; opening a file; the time line; frames to samples.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, takewhile
from os import fstat
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.audio import tracks
from sottovoce.audio.levels import LevelMeter, mixed
from sottovoce.audio.media_time import Frame, Silence, Timing, placed
from sottovoce.audio.pcm import Resampler, tidy
from sottovoce.audio.tracks import Choice, Track, Wanted
from sottovoce.errors import MediaUnreadable
from sottovoce.request import MAX_RATE, MIN_RATE
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container.input import InputContainer
    from av.packet import Packet
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MAX_CHANNELS = 100
"""Channels a file may have (contract `batch-v2.md` §11)."""

_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,mov,mp3,mpeg,mpegts,nistsphere,ogg,tta,voc,"
    "w64,wav,wv"
)
_STUBBORN = 100  # read errors in a row after which decoding stops
_PLANES = 8  # AV_NUM_DATA_POINTERS
_AV_TIME_BASE = 1_000_000  # units per second of a container's duration
_STAMPED = {"mov", "matroska", "webm", "mpegts", "mpeg", "avi", "flv", "asf", "ogg"}
"""Containers whose packets have time stamps. In others libavformat derives them from sizes and bit rates."""
_FROM_ZERO = {"mov", "matroska", "webm"}
"""Containers whose time line begins at 0. That of others begins at the first stamp, which may have any value."""
_LATEST_START = 600 * _AV_TIME_BASE
"""Latest first stamp (10 min) of a file whose time line begins at 0; with a later one it is a part of a longer stream."""
_SILENT = 1e-4
"""Peak of a silent track: -80 dBFS, which dithered digital silence does not exceed."""
_MISSING: Samples = RATE // 2  # 0.5 s: if less is missing at the end, it is the padding of a codec or a rounded header


class MediaEmpty(MediaUnreadable):
    """The file has 0 bytes."""

    def __init__(self) -> None:
        super().__init__("the file is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A track of a file. *duration*: until the end of the track as the headers claim, which may be wrong; *rate* in Hz.

    *track*: its number among the audio streams, from 1.
    """

    duration: Samples | None
    channels: int
    rate: int
    codec: str
    container: str
    track: int = 1


def probe(path: Path, track: int | None = None) -> Probe:
    """Return the properties of the media at *path* from its headers, without decoding it.

    *track*: the number of the track; by default the headers decide (`tracks`).
    Errors: MediaEmpty for 0 bytes; MediaUnreadable for an unknown format, no audio track or an unsupported one.
    """
    with _opened(path, track) as source:
        return Probe(
            duration=_declared(source),
            channels=source.stream.codec_context.channels,
            rate=source.stream.codec_context.sample_rate,
            codec=source.stream.codec_context.name,
            container=source.container.format.name,
            track=source.track.number,
        )


def choose(
    path: Path, wanted: Wanted | None = None, *, limit: Samples | None = None, alive: Callable[[], None] = lambda: None
) -> Choice:
    """Return the track to read of the media at *path*. Without *wanted*, silent tracks are decoded to find one with sound.

    *limit*: as of `decode`. *alive* is called for every second that is decoded.
    Errors: as `probe`; MediaUnreadable if the file lacks a *wanted* track that must be read.
    """
    with _opened(path, None) as source:
        first, found = source.track, source.tracks
    if wanted is not None:
        chosen = tracks.asked(found, wanted.number)
        if chosen is not None:
            return Choice(track=chosen, why=f"track {wanted.number} was asked for", tracks=found)
        if wanted.required:
            raise MediaUnreadable(
                f"there is no track {wanted.number} that can be read: the file has {len(found)} audio track(s)"
            )
    order = tracks.ranked(found) if len(found) > 1 else []
    passed = list(takewhile(lambda track: not _has_sound(path, track, limit, alive), order))
    silent = passed if len(passed) < len(order) else []  # if all are silent, the first one is as good as any
    chosen = order[len(silent)] if order else first
    why = tracks.reason(chosen, found, [track.number for track in silent])
    if wanted is not None:
        why = f"there is no track {wanted.number}" + (f"; {why}" if why else "")
    return Choice(track=chosen, why=why, tracks=found)


def _has_sound(path: Path, track: Track, limit: Samples | None, alive: Callable[[], None]) -> bool:
    """True if *track* has a sample louder than `_SILENT`; decodes it until there."""
    decoder = decode(path, track=track.number, limit=limit)
    with suppress(MediaUnreadable):
        for _ in decoder:
            alive()
            if decoder.levels.peak > _SILENT:
                return True
    return False


def decode(
    source: Path | int,
    *,
    split: bool = False,
    start: Samples = 0,
    block: Samples = RATE,
    limit: Samples | None = None,
    track: int | None = None,
) -> "Decoder":
    """Return a `Decoder` of *source*, a path or an open file descriptor."""
    return Decoder(source, split=split, start=start, block=block, limit=limit, track=track)


def too_long(limit: Samples) -> MediaUnreadable:
    """The error for media of more than *limit* samples."""
    return MediaUnreadable(f"the media is longer than {limit / RATE / 3600:g} hours, the most that this server accepts")


class Decoder:
    """Iterate to get float32[channels, n] in -1..1 at 16 kHz from sample *start* on; n = *block* except for the last.

    Sample 0 is the beginning of the media: silence stands for the time before the audio, and for gaps in its time stamps.
    Without *split* there is one channel, the mix of all (`levels.mixed`). A silent second channel costs 6 dB, to which
    speech detection and recognisers are insensitive. With *split* the first frame sets the number of channels; if it
    changes later, missing channels are silent and extra ones are dropped. *track*: the number of the track; by default the
    headers decide. *start* is exact: all audio before it is decoded and dropped. Each iteration reads a path again; a
    descriptor (of a pipe too) is read once from its current position, and the caller closes it. A small file can decode to
    days of audio: decoding stops with an error after *limit* samples.
    Errors while iterating: MediaEmpty, MediaUnreadable (also when no audio of a file can be decoded).
    """

    def __init__(
        self,
        source: Path | int,
        *,
        split: bool = False,
        start: Samples = 0,
        block: Samples = RATE,
        limit: Samples | None = None,
        track: int | None = None,
    ) -> None:
        self._limit = limit
        self.bad_packets = 0
        """Number of packets so far that could not be read or decoded."""
        self.decoded: Samples = 0
        """Samples decoded so far, including those before *start* and those not yet in a block."""
        self.channels = 1
        """Channels of every block; set when the first block is decoded."""
        self.declared: Samples | None = None
        """The end of the audio as the headers claim, in samples."""
        self.levels = LevelMeter()
        """The levels of the channels and of their mix."""
        self.timing = Timing()
        """What the time stamps showed."""
        self._source, self._split, self._start, self._block, self._track = source, split, start, block, track
        self._heard = 0

    def __iter__(self) -> "Iterator[Floats]":
        self.bad_packets = self.decoded = self._heard = 0
        self.channels = 0 if self._split else 1
        self.levels, self.timing = LevelMeter(), Timing()
        with _opened(self._source, self._track) as source:
            self.declared = _declared(source)
            frames = self._sound(self._frames(source.container, source.stream), source)
            sound = placed(frames, self.timing, end=_end(source)) if source.stamped else frames
            yield from self._blocks(self._resampled(sound))
            silent = not self.bad_packets and not self.declared  # a header without samples is valid
            if not self._heard and not silent:
                raise MediaUnreadable("no audio in the file could be decoded")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the job's log should know of the media, one sentence each; complete after an iteration."""
        timing, told = self.timing, []
        if timing.late >= RATE // 10:
            told.append(f"the audio begins {timing.late / RATE:.2f} s after the beginning of the media")
        if timing.gaps:
            told.append(f"{timing.gaps} gap(s) of the time stamps, {timing.filled / RATE:.2f} s in all, are silent")
        if timing.ignored:
            told.append(f"{timing.ignored} jump(s) of the time stamps, back or too far ahead, are not followed")
        if self.levels.cancelled:
            told.append(
                f"channels of opposite phase cancel each other in {self.levels.cancelled / 2:.1f} s: "
                "the loudest channel is heard there"
            )
        if self.bad_packets:
            told.append(f"{self.bad_packets} packet(s) are damaged and left out")
        if self.declared is not None and self.decoded + max(_MISSING, self.declared // 50) < self.declared:
            promised, there = self.declared / RATE, self.decoded / RATE
            told.append(
                f"the header promises {promised:.2f} s of media, but the file ends after {there:.2f} s: "
                f"the last {promised - there:.2f} s are missing"
            )
        return tuple(told)

    def _packets(self, container: "InputContainer", stream: "AudioStream") -> "Iterator[Packet[AudioStream]]":
        """Yield compressed packets; a read error is counted and reading continues."""
        from av import FFmpegError

        failures = 0
        while failures < _STUBBORN:
            try:
                for packet in container.demux(stream):
                    failures = 0
                    yield packet
            except FFmpegError:
                failures += 1
                self.bad_packets += 1
            else:
                return

    def _frames(self, container: "InputContainer", stream: "AudioStream") -> "Iterator[AudioFrame]":
        """Yield decoded frames; a packet that does not decode (research `engines.md` §5: p001.flac has one) is counted."""
        from av import FFmpegError

        for packet in self._packets(container, stream):
            try:
                frames = packet.decode()
            except FFmpegError:
                self.bad_packets += 1
                continue
            yield from frames

    def _sound(self, frames: "Iterable[AudioFrame]", source: "_Source") -> "Iterator[Frame[Floats]]":
        """Yield the samples of every frame, float32[channels, n], with their time."""
        for frame in frames:
            audio = _floats(frame) if _possible(frame.sample_rate, frame.layout.nb_channels) else None
            if audio is None:
                self.bad_packets += 1
                continue
            if self._split:
                self.channels = self.channels or audio.shape[0]
                audio = _fit(audio, self.channels)
            self._heard += audio.shape[1]
            yield Frame(stamp=_stamp(frame, source), rate=frame.sample_rate, length=audio.shape[1], audio=audio)

    def _resampled(self, sound: "Iterable[Frame[Floats] | Silence]") -> "Iterator[Floats]":
        """Yield the same audio at 16 kHz; a change of the rate starts a new resampler."""
        for rate, run in groupby(sound, key=lambda piece: 0 if isinstance(piece, Silence) else piece.rate):
            if rate:
                windows = _windows((piece.audio for piece in run if not isinstance(piece, Silence)), rate // 2)
                resampler = Resampler(rate, self.channels)
                for audio in self._measured(windows) if self._split else mixed(windows, rate, self.levels):
                    yield resampler.push(audio)
                yield resampler.flush()
            else:
                for piece in run:
                    if isinstance(piece, Silence):
                        yield from self._silence(piece.until)

    def _measured(self, windows: "Iterable[Floats]") -> "Iterator[Floats]":
        for window in windows:
            self.levels.push(window)
            yield window

    def _silence(self, until: Samples) -> "Iterator[Floats]":
        import numpy as np

        while (missing := until - self.decoded) > 0:  # the consumer of each piece counts it in `decoded`
            yield np.zeros((self.channels or 1, min(missing, RATE)), np.float32)

    def _blocks(self, pieces: "Iterable[Floats]") -> "Iterator[Floats]":
        """Yield blocks of exactly the requested length from *start* on, and the rest."""
        import numpy as np

        held: list[Floats] = []
        size = 0
        for piece in pieces:
            skipped = min(max(self._start - self.decoded, 0), piece.shape[1])
            self.decoded += piece.shape[1]
            if self._limit is not None and self.decoded > self._limit:
                raise too_long(self._limit)
            held.append(np.clip(piece[:, skipped:], -1.0, 1.0))  # resampling can overshoot
            size += piece.shape[1] - skipped
            if size >= self._block:
                audio = np.concatenate(held, axis=1)
                whole = size - size % self._block
                for at in range(0, whole, self._block):
                    yield audio[:, at : at + self._block]
                held, size = [audio[:, whole:].copy()], size - whole
        if size:
            yield np.concatenate(held, axis=1)


def _decoders() -> str:
    """Return the names of all audio decoders for `codec_whitelist`, so that no video or image is decoded, even to probe it."""
    import av.codec

    found = []
    for name in sorted(av.codec.codecs_available):
        try:
            codec = av.codec.Codec(name, "r")
        except av.codec.codec.UnknownCodecError:  # an encoder
            continue
        if codec.type == "audio":
            found.append(name)
    return ",".join(found)


# ── opening a file ──


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """An open file and the track that is read. *tracks*: all of them.

    *origin*: the stamp, in microseconds, of the beginning of the time line. *stamped*: the packets have time stamps of their own,
    in units of *numerator* / *denominator* s.
    """

    container: "InputContainer"
    stream: "AudioStream"
    track: Track
    tracks: tuple[Track, ...]
    origin: int
    stamped: bool
    numerator: int
    denominator: int

    def samples(self, stamp: int) -> Samples:
        """Return the place of *stamp*, in the units of the stream, on the time line."""
        whole = self.denominator * _AV_TIME_BASE
        exact = self.numerator * stamp * _AV_TIME_BASE - self.origin * self.denominator
        return (exact * RATE * 2 + whole) // (2 * whole)


@contextmanager
def _opened(source: Path | int, track: int | None) -> "Iterator[_Source]":
    """Open the container and the track *track*, by default the one that the headers suggest; discard all other streams."""
    if isinstance(source, int):
        with _container(source) as container:
            yield _audio(container, track)
        return
    with source.open("rb") as file:
        if not fstat(file.fileno()).st_size:
            raise MediaEmpty
        with _container(file.fileno()) as container:
            yield _audio(container, track)


def _container(descriptor: int) -> "InputContainer":
    import av

    options = {
        "fd": str(descriptor),
        "protocol_whitelist": "fd",
        "format_whitelist": _CONTAINERS,
        "codec_whitelist": _decoders(),
    }
    try:
        return av.open("fd:", mode="r", options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        raise MediaUnreadable("the file is not audio or video of a known format, or its header is missing") from error


def _audio(container: "InputContainer", wanted: int | None) -> _Source:
    from av.stream import Discard

    streams = container.streams.audio
    if not streams:
        raise MediaUnreadable("the file has no audio track")
    found = tuple(_described(number, stream) for number, stream in enumerate(streams, 1))
    track = tracks.asked(found, wanted) or next(iter(tracks.ranked(found)), None)
    if track is None:
        codec = streams[0].codec_context
        if codec is None:
            raise MediaUnreadable("the audio track is in an unknown format")
        raise MediaUnreadable(f"cannot read {codec.channels} channels at {codec.sample_rate} Hz")
    stream = streams[track.number - 1]
    stream.codec_context.thread_count = 1  # work is parallel across child processes
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    unit = stream.time_base or Fraction(1, _AV_TIME_BASE)
    return _Source(
        container=container,
        stream=stream,
        track=track,
        tracks=found,
        origin=_origin(container),
        stamped=bool(_names(container) & _STAMPED),
        numerator=unit.numerator,
        denominator=unit.denominator,
    )


def _described(number: int, stream: "AudioStream") -> Track:
    from av.stream import Disposition

    codec = stream.codec_context
    told = stream.metadata
    return Track(
        number=number,
        codec=codec.name if codec is not None else "unknown",
        rate=codec.sample_rate if codec is not None else 0,
        channels=codec.channels if codec is not None else 0,
        readable=codec is not None and _possible(codec.sample_rate, codec.channels),
        default=bool(stream.disposition & Disposition.default),
        language=_printable(told.get("language")),
        title=_printable(told.get("title")),
    )


def _printable(text: str | None) -> str | None:
    return "".join(char for char in text or "" if char.isprintable())[: tracks.MAX_TITLE] or None


def _names(container: "InputContainer") -> set[str]:
    return set(container.format.name.split(","))


# ── the time line ──


def _origin(container: "InputContainer") -> int:
    """Return the stamp, in microseconds, of the beginning of the time line."""
    first = container.start_time or 0
    return 0 if _names(container) & _FROM_ZERO and first <= _LATEST_START else first


def _stamp(frame: "AudioFrame", source: _Source) -> Samples | None:
    """Return the place of *frame* on the time line."""
    return None if frame.pts is None or not source.stamped else source.samples(frame.pts)


def _declared(source: _Source) -> Samples | None:
    """Return the end of the track that the headers claim, in samples at 16 kHz; None without one."""
    stream = source.stream
    if stream.duration is not None and stream.time_base is not None:
        late = source.samples(stream.start_time) if source.stamped and stream.start_time is not None else 0
        claimed = round(stream.duration * stream.time_base * RATE) + max(late, 0)
        return claimed if claimed >= 0 else None
    return _end(source)


def _end(source: _Source) -> Samples | None:
    """Return the end of the media that the header of the container claims, in samples; None without one."""
    claimed = source.container.duration
    return None if claimed is None or claimed < 0 else round(Fraction(claimed, _AV_TIME_BASE) * RATE)


# ── frames to samples ──


def _possible(rate: int, channels: int) -> bool:
    """True if the rate (Hz) and the number of channels are within the limits."""
    return MIN_RATE <= rate <= MAX_RATE and 1 <= channels <= MAX_CHANNELS


def _floats(frame: "AudioFrame") -> "Floats | None":
    """Return float32[channels, n] in -1..1; None for an unsupported sample format, or more than 64 planes."""
    import numpy as np

    try:
        frame = _packed(frame)
        raw = frame.to_ndarray()
    except ValueError:  # 64-bit integers; more channels than libswresample can pack
        return None
    if not frame.format.is_planar:
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    if raw.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return tidy(raw.astype(np.float32))
    if raw.dtype.kind == "u":
        return (raw.astype(np.float32) - 128) / np.float32(128)
    return raw.astype(np.float32) / np.float32(2 ** (8 * raw.dtype.itemsize - 1))


def _packed(frame: "AudioFrame") -> "AudioFrame":
    """Return the frame in a layout that PyAV reads safely: packed if it has eight planes or more.

    PyAV 18.1 counts a frame's planes by reading pointers until one is null; with eight planes or more it reads beyond the
    table and returns invalid memory (an ADTS file with a few flipped bits crashed the process).
    """
    from av.audio.resampler import AudioResampler

    if not frame.format.is_planar or frame.layout.nb_channels < _PLANES:
        return frame
    (packed,) = AudioResampler(frame.format.packed, frame.layout, frame.sample_rate).resample(frame)
    return packed


def _fit(audio: "Floats", channels: int) -> "Floats":
    """Return exactly *channels* rows: missing ones are silent, extra ones are dropped."""
    import numpy as np

    missing = channels - audio.shape[0]
    return np.pad(audio, ((0, missing), (0, 0))) if missing > 0 else audio[:channels]


def _windows(pieces: "Iterable[Floats]", length: int) -> "Iterator[Floats]":
    """Yield the same samples in pieces of *length*, to reduce the number of calls for each.

    The last one is shorter, and those before a change of the number of channels.
    """
    import numpy as np

    for _, run in groupby(pieces, key=len):
        held: list[Floats] = []
        size = 0
        for piece in run:
            held.append(piece)
            size += piece.shape[1]
            if size >= length:
                audio = np.concatenate(held, axis=1)
                whole = size - size % length
                yield from np.split(audio[:, :whole], whole // length, axis=1)
                held, size = [audio[:, whole:]], size - whole
        if size:
            yield np.concatenate(held, axis=1)
