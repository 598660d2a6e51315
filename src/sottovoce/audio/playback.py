"""What a page needs to play a recording: the peaks of its waveform, and a copy that every browser can play, where it needs one.

Both follow the time line of the transcript: silence stands where the time stamps of the media have gaps.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.audio.media import Probe, decode, probe
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from av.container.output import OutputContainer
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Peaks = NDArray[np.int8]

PER_SECOND = 20
"""Pairs of lowest and highest sample for each second and channel."""
HEADER = struct.Struct("<4sBBHI")
"""`SVPK`, version 1, the number of channels, `PER_SECOND`, the number of pairs of each channel."""
_MAGIC = b"SVPK"
_VERSION = 1
_STEP: Samples = RATE // PER_SECOND
_LARGEST = 127
STEREO = 2
BIT_RATE = 24_000
"""Bits per second and channel of the copy: Opus at this rate is clear speech."""
_AUDIO = {
    "wav": {"pcm_s16le", "pcm_u8", "pcm_f32le"},
    "mp3": {"mp3", "mp3float"},
    "aac": {"aac"},
    "flac": {"flac"},
    "ogg": {"opus", "libopus", "vorbis", "libvorbis", "flac"},
    "mov": {"aac", "mp3", "mp3float"},
    "matroska": {"opus", "libopus", "vorbis", "libvorbis"},
}
"""Decoders of audio that Chromium, Firefox and Safari play, by container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """*target*: where the copy is written if it is needed. *limit*: as of `media.decode`."""

    source: Path
    target: Path
    limit: Samples | None = None
    alive: Callable[[Samples], None] = lambda _done: None
    """Called with the samples done so far, about once for each second of media."""


def prepare(wishes: Wishes) -> bytes:
    """The peaks of the media at `source`; writes `target` if browsers cannot play the media itself.

    Two channels keep their own peaks and their places in the copy; more are mixed. Errors: as `media.decode`.
    """
    found = probe(wishes.source)
    split = found.channels == STEREO
    decoder = decode(wishes.source, split=split, limit=wishes.limit, track=found.track)
    channels = STEREO if split else 1
    if is_playable(found):
        return _peaks(_followed(iter(decoder), wishes), channels)
    with closing(_Copy(wishes.target, channels)) as copy:
        return _peaks(copy.fed(_followed(iter(decoder), wishes)), channels)


def is_playable(found: Probe) -> bool:
    """True if browsers play the media whose first usable track is *found*."""
    containers = set(found.container.split(","))
    return found.track == 1 and any(found.codec in _AUDIO.get(name, ()) for name in containers)


def _followed(blocks: "Iterator[Floats]", wishes: Wishes) -> "Iterator[Floats]":
    done = 0
    for block in blocks:
        yield block
        done += block.shape[1]
        wishes.alive(done)


def _peaks(blocks: "Iterator[Floats]", channels: int) -> bytes:
    """The peaks of *blocks*, which have whole numbers of steps except for the last; *channels* where there is no block."""
    import numpy as np

    found: list[Peaks] = []
    for block in blocks:
        channels = block.shape[0]
        padded = np.pad(block, ((0, 0), (0, -block.shape[1] % _STEP)))
        steps = padded.reshape(channels, -1, _STEP)
        pairs = np.stack([steps.min(axis=2), steps.max(axis=2)], axis=2)
        found.append(np.rint(pairs * _LARGEST).astype(np.int8))
    pairs = np.concatenate(found, axis=1) if found else np.zeros((channels, 0, 2), np.int8)
    return HEADER.pack(_MAGIC, _VERSION, channels, PER_SECOND, pairs.shape[1]) + pairs.tobytes()


class _Copy:
    """A WebM file with Opus at *target*."""

    def __init__(self, target: Path, channels: int) -> None:
        import av

        self._layout = "stereo" if channels == STEREO else "mono"
        self._file: OutputContainer = av.open(str(target), "w", format="webm")
        options = {"application": "voip", "frame_duration": "60"}
        self._stream = self._file.add_stream("libopus", rate=RATE, layout=self._layout, options=options)
        self._stream.bit_rate = BIT_RATE * channels

    def fed(self, blocks: "Iterator[Floats]") -> "Iterator[Floats]":
        """*blocks*, each of which is written to the file."""
        import numpy as np
        from av import AudioFrame

        at = 0
        for block in blocks:
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=self._layout)
            frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
            at += block.shape[1]
            self._file.mux(self._stream.encode(frame))
            yield block
        self._file.mux(self._stream.encode(None))

    def close(self) -> None:
        """Write the end of the file."""
        self._file.close()
