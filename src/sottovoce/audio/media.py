"""Media files: their properties, and their audio as float32 at 16 kHz in blocks of bounded size.

Files are untrusted. libavformat gets an open file without a name, so the content alone decides the format; only listed
demuxers and audio decoders may run, and the open file is the only protocol, so a playlist or session description cannot
open anything else. Damaged packets are counted and skipped. Time stamps are ignored: samples are counted.
In order: the limits; `Probe` and `probe`; `Decoder`; opening a file; frames to samples.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from os import fstat
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.audio.pcm import MAX_RATE, MIN_RATE, Resampler, tidy
from sottovoce.errors import MediaUnreadable
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


class MediaEmpty(MediaUnreadable):
    """The file has 0 bytes."""

    def __init__(self) -> None:
        super().__init__("the file is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The first audio stream of a file. *duration* is what the headers claim and may be wrong; *rate* in Hz."""

    duration: Samples | None
    channels: int
    rate: int
    codec: str
    container: str


def probe(path: Path) -> Probe:
    """Return the properties of the media at *path* from its headers, without decoding it.

    Errors: MediaEmpty for 0 bytes; MediaUnreadable for an unknown format, no audio track or an unsupported one.
    """
    with _opened(path) as (container, stream):
        return Probe(
            duration=_declared(container, stream),
            channels=stream.codec_context.channels,
            rate=stream.codec_context.sample_rate,
            codec=stream.codec_context.name,
            container=container.format.name,
        )


def decode(
    source: Path | int,
    *,
    split: bool = False,
    start: Samples = 0,
    block: Samples = RATE,
    limit: Samples | None = None,
) -> "Decoder":
    """Return a `Decoder` of *source*, a path or an open file descriptor."""
    return Decoder(source, split=split, start=start, block=block, limit=limit)


def too_long(limit: Samples) -> MediaUnreadable:
    """The error for media of more than *limit* samples."""
    return MediaUnreadable(f"the media is longer than {limit / RATE / 3600:g} hours, the most that this server accepts")


class Decoder:
    """Iterate to get float32[channels, n] in -1..1 at 16 kHz from sample *start* on; n = *block* except for the last.

    Without *split* there is one channel, the average of all: a sum would clip, and the weights of cinema downmixing would
    suppress channels that a recorder used. A silent second channel costs 6 dB, to which speech detection and recognisers
    are insensitive. With *split* the first frame sets the number of channels; if it changes later, missing channels are
    silent and extra ones are dropped. *start* is exact: all audio before it is decoded and dropped. Each iteration reads
    a path again; a descriptor (of a pipe too) is read once from its current position, and the caller closes it. A small
    file can decode to days of audio: decoding stops with an error after *limit* samples.
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
    ) -> None:
        self._limit = limit
        self.bad_packets = 0
        """Number of packets so far that could not be read or decoded."""
        self.decoded: Samples = 0
        """Samples decoded so far, including those before *start* and those not yet in a block."""
        self.channels = 1
        """Channels of every block; set when the first block is decoded."""
        self._source, self._split, self._start, self._block = source, split, start, block
        self._heard = 0

    def __iter__(self) -> "Iterator[Floats]":
        self.bad_packets = self.decoded = self._heard = 0
        self.channels = 0 if self._split else 1
        with _opened(self._source) as (container, stream):
            yield from self._blocks(self._resampled(self._sound(self._frames(container, stream))))
            silent = not self.bad_packets and not _declared(container, stream)  # a header without samples is valid
            if not self._heard and not silent:
                raise MediaUnreadable("no audio in the file could be decoded")

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

    def _sound(self, frames: "Iterable[AudioFrame]") -> "Iterator[tuple[int, Floats]]":
        """Yield (rate in Hz, float32[channels, n]) of every frame, mixed or split."""
        for frame in frames:
            audio = _floats(frame) if _possible(frame.sample_rate, frame.layout.nb_channels) else None
            if audio is None:
                self.bad_packets += 1
                continue
            self.channels = self.channels or audio.shape[0]
            self._heard += audio.shape[1]
            yield frame.sample_rate, _fit(audio, self.channels) if self._split else audio.mean(axis=0, keepdims=True)

    def _resampled(self, sound: "Iterable[tuple[int, Floats]]") -> "Iterator[Floats]":
        """Yield the same audio at 16 kHz; a change of the rate starts a new resampler."""
        for rate, run in groupby(sound, key=lambda piece: piece[0]):
            resampler = Resampler(rate, self.channels)
            least = min(self._block, RATE) * rate // (2 * RATE)
            for audio in _gathered((audio for _, audio in run), least):
                yield resampler.push(audio)
            yield resampler.flush()

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


@contextmanager
def _opened(source: Path | int) -> "Iterator[tuple[InputContainer, AudioStream]]":
    """Open the container and its first audio stream; discard all other streams."""
    if isinstance(source, int):
        with _container(source) as container:
            yield container, _audio(container)
        return
    with source.open("rb") as file:
        if not fstat(file.fileno()).st_size:
            raise MediaEmpty
        with _container(file.fileno()) as container:
            yield container, _audio(container)


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


def _audio(container: "InputContainer") -> "AudioStream":
    from av.stream import Discard

    if not container.streams.audio:
        raise MediaUnreadable("the file has no audio track")
    stream = container.streams.audio[0]
    codec = stream.codec_context
    if codec is None:
        raise MediaUnreadable("the audio track is in an unknown format")
    if not _possible(codec.sample_rate, codec.channels):
        raise MediaUnreadable(f"cannot read {codec.channels} channels at {codec.sample_rate} Hz")
    codec.thread_count = 1  # work is parallel across child processes
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    return stream


def _possible(rate: int, channels: int) -> bool:
    """True if the rate (Hz) and the number of channels are within the limits."""
    return MIN_RATE <= rate <= MAX_RATE and 1 <= channels <= MAX_CHANNELS


def _declared(container: "InputContainer", stream: "AudioStream") -> Samples | None:
    """Return the duration that the headers claim, in samples at 16 kHz; None without one."""
    if stream.duration is not None and stream.time_base is not None:
        claimed = stream.duration * stream.time_base
    elif container.duration is not None:
        claimed = Fraction(container.duration, _AV_TIME_BASE)
    else:
        return None
    return round(claimed * RATE) if claimed >= 0 else None


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


def _gathered(pieces: "Iterable[Floats]", least: int) -> "Iterator[Floats]":
    """Yield the same samples in pieces of *least* or a little more, to reduce the number of resampler calls."""
    import numpy as np

    held: list[Floats] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += piece.shape[1]
        if size >= least:
            yield np.concatenate(held, axis=1)
            held, size = [], 0
    if held:
        yield np.concatenate(held, axis=1)
