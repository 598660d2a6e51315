"""Speech behind silence, or behind faint noise, is recognised, aligned and diarized as it is alone."""

import wave
from pathlib import Path

import numpy as np
import pytest

from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.diarization.gaussian.diarizer import GaussianDiarizer
from sottovoce.engines.pocketsphinx.aligner import PocketSphinxAligner
from sottovoce.engines.pocketsphinx.recognizer import PocketSphinx
from sottovoce.pipeline import alignment, batch, diarization
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript import marked_text
from sottovoce.transcript.model import RATE, Word
from tests.recognition.material import load
from tests.unit.pipeline.test_batch import FIXTURES, Notebook, recognizing

TEXT = "Nothing that you say will leave this room."
LEAD = 90 * RATE


@pytest.fixture(scope="module", params=["silence", "noise"])
def lead(request: pytest.FixtureRequest) -> np.ndarray:
    noise = np.random.default_rng(2).normal(0, 0.001, LEAD)  # -60 dBFS
    return (noise if request.param == "noise" else np.zeros(LEAD)).astype(np.float32)


def file(folder: Path, audio: np.ndarray) -> Path:
    path = folder / "audio.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes((audio * 32_767).round().astype("<i2").tobytes())
    return path


@pytest.fixture
def path(tmp_path: Path, lead: np.ndarray) -> Path:
    return file(tmp_path, np.concatenate([lead, load(FIXTURES / "speech.flac")]))


def test_pocketsphinx_hears_it(path: Path) -> None:
    work = batch.Work(path=path, request=TranscriptionRequest(language="en"), clock=lambda: 0)
    found = batch.transcribe(work, recognizing(PocketSphinx()), SileroVad, Notebook())
    words = [item for item in found.items if isinstance(item, Word)]
    assert " ".join(word.text.lower() for word in words) == "nothing that you say will leave this room"
    assert words[0].start == pytest.approx(LEAD + 0.3 * RATE, abs=0.2 * RATE)


def test_the_aligner_places_it(path: Path) -> None:
    words = tuple(marked_text.words(TEXT))
    work = alignment.Work(path=path, words=words, language="en", clock=lambda: 0)
    found = alignment.align(work, PocketSphinxAligner(), SileroVad, Notebook())
    assert not any(word.bridged for word in found.words)
    assert found.words[0].start == pytest.approx(LEAD + 0.3 * RATE, abs=0.2 * RATE)


def test_the_diarizer_hears_the_same_turns(tmp_path: Path, lead: np.ndarray) -> None:
    talk = load(FIXTURES / "conversation_2.flac")
    request = TranscriptionRequest(language="en")

    def turns(audio: np.ndarray) -> list[tuple[int, int, str]]:
        source = diarization.Source(path=file(tmp_path, audio), make_vad=SileroVad, alive=lambda: None)
        found = diarization.find(source, request, (), GaussianDiarizer())
        return [(turn.start, turn.end, turn.label) for turn in found.turns]

    alone, behind = turns(talk), turns(np.concatenate([lead, talk]))
    assert len({label for _, _, label in behind}) == len({label for _, _, label in alone}) == 2
    for one, other in zip(alone, behind, strict=True):
        assert one[2] == other[2]
        assert other[0] - LEAD == pytest.approx(one[0], abs=RATE // 4)
        assert other[1] - LEAD == pytest.approx(one[1], abs=RATE // 4)
