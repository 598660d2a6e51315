"""Real weights: engines in this process, and the service's own way, a process of the inference pool."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bench import manifest
from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import Skill
from sottovoce.engines.whisper.engine import Whisper
from sottovoce.inference import messages as m
from sottovoce.inference.pool import Pool, Task
from sottovoce.request import TranscriptionRequest, VocabEntry
from sottovoce.transcript import codec
from sottovoce.transcript.languages import PACKS
from tests.recognition.material import Said, written

Service = Callable[..., Said]


@pytest.fixture(scope="session")
def engine_config(real_models: Path) -> EngineConfig:
    """Two decodes at once at most."""
    return EngineConfig(models=real_models, workers=2)


def loaded(engine_config: EngineConfig, model: str) -> Whisper:
    engine = registry.load(Skill.TRANSCRIPTION, EngineKey(engine="whisper", model=model), engine_config)
    assert isinstance(engine, Whisper)
    engine.allow(lambda: 2)
    return engine


@pytest.fixture(scope="module")
def base(engine_config: EngineConfig) -> Whisper:
    """Whisper base in this process."""
    return loaded(engine_config, "whisper-base")


@pytest.fixture(scope="module")
def tiny(engine_config: EngineConfig) -> Whisper:
    """Whisper tiny.en in this process."""
    return loaded(engine_config, "whisper-tiny.en")


@pytest.fixture(scope="module")
def service(engine_config: EngineConfig) -> Iterator[Service]:
    """What the service writes for a file, with Whisper base unless another model is named, in a process of the pool."""
    pool = Pool(engine_config=engine_config, slots=2)

    def transcribe(
        path: Path, language: str = "en", vocab: Sequence[VocabEntry] = (), *, model: str = "whisper-base"
    ) -> Said:
        notes: list[str] = []

        def listen(message: m.Message, _payload: bytes) -> None:
            if isinstance(message, m.Stage) and message.name == "recognise":
                notes.append(message.note)

        request = TranscriptionRequest(language=language, additional_vocab=tuple(vocab))
        task = Task(message=m.Transcribe(path=str(path), request=request))
        outcome = pool.run_blocking(EngineKey(engine="whisper", model=model), task, listen)
        return Said(text=written(codec.decode(outcome.payload).items), notes=tuple(notes))

    try:
        yield transcribe
    finally:
        pool.close()


@pytest.fixture(scope="module")
def rows() -> dict[str, manifest.Row]:
    """The files of the shared folder of which is known what is said, by name."""
    found, _ = manifest.read(manifest.SHARED, list(PACKS))
    return {row.name: row for row in found}
