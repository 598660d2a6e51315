"""The Whisper engine: one offer for each Whisper model in the models folder."""

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.models import offers
from sottovoce.engines.models.catalogue import Model
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities, LiveRecognizer, Skill
from sottovoce.engines.whisper.languages import languages_of
from sottovoce.intelligence.stages import StageName

if TYPE_CHECKING:
    from sottovoce.engines.common.spoken_translation import SpokenTranslation
    from sottovoce.engines.whisper.engine import Whisper

TARGETS = frozenset({"en"})
"""Whisper translates into English only."""


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    if importlib.util.find_spec("faster_whisper") is None:
        return ()
    recognizers = tuple(
        replace(
            offers.transcribing(model, engine_config, languages_of(model)),
            custom_vocab=True,
            skills=frozenset({Skill.TRANSCRIPTION, Skill.LIVE, *_translating(model)}),
            identifies_language=model.languages is None,
        )
        for model in offers.stored("whisper", engine_config)
    )
    return (*recognizers, *(_sentences(each) for each in recognizers if Skill.SPEECH_TRANSLATION in each.skills))


def _sentences(recognizer: Capabilities) -> Capabilities:
    """The offer to translate the sentences of a transcript into English, with the same model."""
    return replace(
        recognizer,
        skills=frozenset({StageName.TRANSLATION}),
        languages=recognizer.languages - TARGETS,
        targets=TARGETS,
        hears=True,
        identifies_language=False,
    )


def _translating(model: Model) -> tuple[Skill, ...]:
    """The skill to translate, for multilingual models; turbo was trained without translations (its model card)."""
    return (Skill.SPEECH_TRANSLATION,) if model.languages is None and "turbo" not in model.name else ()


def _load(model: str, device: str, engine_config: EngineConfig) -> "Whisper":
    from sottovoce.engines.whisper.engine import Whisper

    return Whisper(
        ModelStore(engine_config.models).path(model),
        offers.offer_of(_offers, model, engine_config),
        device=device,
        compute_type=engine_config.compute_type,
        threads=engine_config.threads,
        batch=engine_config.batch,
        beam=engine_config.beam,
        workers=engine_config.workers,
    )


def _load_sentences(model: str, device: str, engine_config: EngineConfig) -> "SpokenTranslation":
    from sottovoce.engines.common.spoken_translation import SpokenTranslation

    return SpokenTranslation(_load(model, device, engine_config))


def _load_live(model: str, device: str, engine_config: EngineConfig) -> LiveRecognizer:
    from sottovoce.engines.whisper.live import WhisperLive

    return WhisperLive(_load(model, device, engine_config))


ENGINE = Engine(
    name="whisper",
    package="faster-whisper",
    offers=_offers,
    loaders={
        Skill.TRANSCRIPTION: _load,
        Skill.SPEECH_TRANSLATION: _load,
        Skill.LIVE: _load_live,
        StageName.TRANSLATION: _load_sentences,
    },
)
