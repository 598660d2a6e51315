"""Small media cut from the demo sample, and the sleeping engine's expected transcript of each."""

import wave
from dataclasses import dataclass, replace
from pathlib import Path

from sottovoce.engines.protocols import Skill
from sottovoce.pipeline import batch
from sottovoce.pipeline.engine_set import LoadedEngines
from sottovoce.transcript import codec
from sottovoce.transcript.model import RATE
from sottovoce.wire.v2.config import parse_job_config
from tests.servers import ROOT
from tests.sleeper import Sleeper

CONFIG = b'{"type":"transcription","transcription_config":{"language":"en"}}'
SECONDS = (4, 9, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A file, the stored form of its transcript with a date of 0, and the number of its windows."""

    path: Path
    expected: bytes
    windows: int = 1

    def matches(self, stored: bytes) -> bool:
        """True if *stored* is the right transcript to the byte, apart from its date.

        With several windows only the number of words and their times to 50 ms are compared: an attempt that continues from a
        stored window starts with a fresh speech detector (docs/reliability.md).
        """
        if self.windows == 1:
            return codec.encode(replace(codec.decode(stored), created_at=0)) == self.expected
        found, wanted = (codec.decode(data).items for data in (stored, self.expected))
        near = (abs(one.start - other.start) <= RATE // 20 for one, other in zip(found, wanted, strict=False))
        return len(found) == len(wanted) and all(near)


class _Silent:
    """An observer that ignores all events."""

    def __getattr__(self, _name: str):
        return lambda *_: None


def _expected(path: Path) -> bytes:
    from sottovoce.engines.common.silero_vad import SileroVad

    work = batch.Work(path=path, request=parse_job_config(CONFIG), clock=lambda: 0)  # type: ignore[arg-type]
    return codec.encode(batch.transcribe(work, LoadedEngines({Skill.TRANSCRIPTION: Sleeper(0)}), SileroVad, _Silent()))


def make(folder: Path) -> list[Media]:
    """One file for each of `SECONDS`, 16 bits at 16 kHz."""
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(ROOT / "samples" / "demo.wav")) as demo:
        parameters, frames = demo.getparams(), demo.readframes(demo.getnframes())
    made = []
    for seconds in SECONDS:
        path = folder / f"{seconds}s.wav"
        with wave.open(str(path), "wb") as out:
            out.setparams(parameters)
            out.writeframes(frames[: seconds * parameters.framerate * parameters.sampwidth])
        made.append(Media(path=path, expected=_expected(path)))
    return made


def make_long(folder: Path) -> Media:
    """More than two windows of speech: a later attempt continues from a stored window."""
    path = folder / "long.wav"
    with wave.open(str(ROOT / "samples" / "demo.wav")) as demo:
        parameters, frames = demo.getparams(), demo.readframes(demo.getnframes())
    with wave.open(str(path), "wb") as out:
        out.setparams(parameters)
        for _ in range(42):
            out.writeframes(frames)
    return Media(path=path, expected=_expected(path), windows=3)
