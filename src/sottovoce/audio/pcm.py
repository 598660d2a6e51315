"""Raw PCM decoding and resampling to float32 at 16 kHz, exact across chunk boundaries.

Both classes are streams: `push` returns the samples that are final, `flush` the rest. The output does not depend on how
the input is cut.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from sottovoce.errors import Kind, Refused
from sottovoce.request import MAX_RATE, MIN_RATE
from sottovoce.transcript.model import RATE

if TYPE_CHECKING:
    import numpy as np
    from av.audio.resampler import AudioResampler
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


class Encoding(StrEnum):
    """Raw sample formats of the Realtime API, mono (contract `realtime.md` §4)."""

    PCM_S16LE = "pcm_s16le"
    PCM_F32LE = "pcm_f32le"
    MULAW = "mulaw"


_WIDTH = {Encoding.PCM_S16LE: 2, Encoding.PCM_F32LE: 4, Encoding.MULAW: 1}  # bytes per sample


def _mulaw(codes: "NDArray[np.uint8]") -> "Floats":
    """Decode G.711 µ-law codes to float32[n] in -1..1."""
    import numpy as np

    code = ~codes
    exponent = (code >> 4) & 7
    magnitude = (((code & 15).astype(np.int32) << 3) + 132 << exponent) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.float32) / np.float32(32_768)


def tidy(audio: "Floats") -> "Floats":
    """Clip to -1..1 and replace NaN by 0; the shape stays the same. Float input may have any value."""
    import numpy as np

    if not np.isfinite(audio).all():
        audio = np.nan_to_num(audio, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.clip(audio, -1.0, 1.0)


def samples_of(data: bytes, encoding: Encoding) -> "Floats":
    """Decode whole samples to float32[n] in -1..1 at the input rate; n = len(data) // sample width."""
    import numpy as np

    whole = data[: len(data) - len(data) % _WIDTH[encoding]]
    match encoding:
        case Encoding.PCM_S16LE:
            return np.frombuffer(whole, "<i2").astype(np.float32) / np.float32(32_768)
        case Encoding.PCM_F32LE:
            return tidy(np.frombuffer(whole, "<f4").astype(np.float32))
        case Encoding.MULAW:
            return _mulaw(np.frombuffer(whole, np.uint8))


def _lane() -> "AudioResampler":
    """Return a resampler of one channel to 16 kHz."""
    from av.audio.resampler import AudioResampler

    return AudioResampler(format="fltp", layout="mono", rate=RATE)


class Resampler:
    """float32[channels, n] at *rate* Hz to float32[channels, m] at 16 kHz; m = ceil(n · 16000 / rate) over the stream.

    Channels are resampled one by one, because libswresample supports at most 64 at once, and named layouts only. An input
    shorter than its filter (1–2 ms) returns no samples.
    Errors: ValueError for a rate outside `MIN_RATE … MAX_RATE`.
    """

    def __init__(self, rate: int, channels: int = 1) -> None:
        if not MIN_RATE <= rate <= MAX_RATE:
            raise ValueError(f"cannot resample from {rate} Hz: the rate must be between {MIN_RATE} and {MAX_RATE}")
        self.rate = rate
        self.channels = channels
        self._lanes = tuple(_lane() for _ in range(channels)) if rate != RATE else ()

    def push(self, audio: "Floats") -> "Floats":
        """Add *audio* (float32[channels, n]); return the samples that are final: float32[channels, m], m may be 0."""
        import numpy as np

        if not self._lanes or not audio.shape[1]:
            return audio
        return np.stack([self._through(lane, samples) for lane, samples in zip(self._lanes, audio, strict=True)])

    def flush(self) -> "Floats":
        """End the stream; return the remaining samples, float32[channels, m]. Do not push afterwards."""
        import numpy as np

        if not self._lanes:
            return np.zeros((self.channels, 0), np.float32)
        return np.stack([self._through(lane, None) for lane in self._lanes])

    def _through(self, lane: "AudioResampler", samples: "Floats | None") -> "Floats":
        import numpy as np
        from av.audio.frame import AudioFrame

        frame = None
        if samples is not None:
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples[np.newaxis]), format="fltp", layout="mono")
            frame.sample_rate = self.rate
        pieces = [out.to_ndarray()[0] for out in lane.resample(frame)]
        return np.concatenate(pieces).astype(np.float32) if pieces else np.zeros(0, np.float32)


class PcmDecoder:
    """Decode the raw mono bytes of one stream, cut anywhere, to float32[n] in -1..1 at 16 kHz.

    Errors: Refused(INVALID_CONFIG) for a rate outside `MIN_RATE … MAX_RATE`.
    """

    def __init__(self, encoding: Encoding, rate: int) -> None:
        if not MIN_RATE <= rate <= MAX_RATE:
            raise Refused(
                Kind.INVALID_CONFIG, f"must be between {MIN_RATE} and {MAX_RATE}", at="audio_format.sample_rate"
            )
        self._encoding = encoding
        self._resampler = Resampler(rate)
        self._rest = b""

    def push(self, data: bytes) -> "Floats":
        """Add *data*; return the samples that are final. Bytes of an incomplete sample wait for the next call."""
        data = self._rest + data
        cut = len(data) - len(data) % _WIDTH[self._encoding]
        self._rest = data[cut:]
        return tidy(self._resampler.push(samples_of(data[:cut], self._encoding)[None])[0])

    def flush(self) -> "Floats":
        """End the stream; return the remaining samples. Bytes of an incomplete sample are dropped."""
        self._rest = b""
        return tidy(self._resampler.flush()[0])
