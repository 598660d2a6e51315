"""Builds and writes mono audio at 16 kHz for the measurements."""

import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sottovoce.transcript.model import RATE, Samples

Floats = NDArray[np.float32]

_PEAK = 32_767


def load(path: Path) -> Floats:
    """The whole of *path*, resampled by faster-whisper's decoder, so that the material depends on no code of the service."""
    from faster_whisper.audio import decode_audio

    return np.asarray(decode_audio(str(path), sampling_rate=RATE), dtype=np.float32)


def write(path: Path, pieces: Iterable[Floats]) -> Samples:
    """Write *pieces* one after the other as a WAV file with 16 bits; return its length."""
    length = 0
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for piece in pieces:
            file.writeframesraw((np.clip(piece, -1.0, 1.0) * _PEAK).round().astype("<i2").tobytes())
            length += len(piece)
    return length


def level(decibels: float) -> float:
    """The amplitude at *decibels* relative to full scale."""
    return float(10.0 ** (decibels / 20.0))


def at_level(audio: Floats, decibels: float) -> Floats:
    """*audio* scaled to an RMS of *decibels* relative to full scale; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if len(audio) else 0.0
    return (audio * (level(decibels) / rms)).astype(np.float32) if rms else audio
