"""The engine of audio taggers: one offer, for the model that `SOTTOVOCE_AUDIO_TAGGER` names."""

from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.engines.audioset import labels
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.protocols import Capabilities
from sottovoce.intelligence.stages import StageName

if TYPE_CHECKING:
    from sottovoce.engines.audioset.tagger import AudiosetTagger

AUDIOSET = "audioset"
GRADE = 10
"""Above the builtin detector of music."""


def checked(folder: Path | None) -> Path | None:
    """*folder*, absolute. Raises ValueError for one that is no tagger."""
    if folder is None:
        return None
    types(folder)
    return folder.absolute()


def types(folder: Path) -> frozenset[str]:
    """The audio events that the model in *folder* detects. Raises ValueError if it is incomplete or detects none."""
    from sottovoce.engines.audioset.tagger import MODEL, settings

    if not (folder / MODEL).is_file():
        raise ValueError(f"{folder} lacks {MODEL}")
    settings(folder)
    found = frozenset(labels.columns(labels.read(folder)))
    if not found:
        raise ValueError("none of its labels is one of AudioSet for laughter, applause or music")
    return found


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    folder = engine_config.tagger
    if folder is None:
        return ()
    try:
        found = types(folder)
    except (OSError, ValueError):
        return ()
    return (
        Capabilities(
            engine=AUDIOSET,
            model=folder.name,
            languages=frozenset(),
            skills=frozenset({StageName.AUDIO_EVENTS}),
            event_types=found,
            grade=GRADE,
            device=engine_config.kind_of_device,
        ),
    )


def _load(model: str, device: str, engine_config: EngineConfig) -> "AudiosetTagger":
    from sottovoce.engines.audioset.tagger import AudiosetTagger

    del model  # there is one
    if engine_config.tagger is None:
        raise ValueError("no model is configured (SOTTOVOCE_AUDIO_TAGGER)")
    return AudiosetTagger(engine_config.tagger, device=device, threads=engine_config.threads)


ENGINE = Engine(name=AUDIOSET, package="onnxruntime", offers=_offers, loaders={StageName.AUDIO_EVENTS: _load})
