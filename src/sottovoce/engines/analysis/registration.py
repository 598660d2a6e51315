"""Sentiment, summaries and music, which need no model."""

import importlib.util
from dataclasses import replace

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.protocols import Capabilities
from sottovoce.intelligence.backends.builtin.music import MusicDetector
from sottovoce.intelligence.backends.builtin.sentiment import LexiconSentiment
from sottovoce.intelligence.backends.builtin.summary import ExtractiveSummary
from sottovoce.intelligence.stages import StageName

ANALYSIS = "analysis"
_LEXICON = "vaderSentiment"


def _offer(model: str, languages: frozenset[str], skill: StageName) -> Capabilities:
    return Capabilities(engine=ANALYSIS, model=model, languages=languages, skills=frozenset({skill}))


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    del engine_config  # nothing depends on it
    found = [
        _offer("extractive", ExtractiveSummary.languages, StageName.SUMMARY),
        replace(_offer("spectrum", MusicDetector.languages, StageName.AUDIO_EVENTS), event_types=MusicDetector.types),
    ]
    if importlib.util.find_spec(_LEXICON) is not None:
        found.append(_offer("lexicon", LexiconSentiment.languages, StageName.SENTIMENT))
    return tuple(found)


def _sentiment(model: str, device: str, engine_config: EngineConfig) -> LexiconSentiment:
    del model, device, engine_config  # there is one
    return LexiconSentiment()


def _summary(model: str, device: str, engine_config: EngineConfig) -> ExtractiveSummary:
    del model, device, engine_config  # there is one
    return ExtractiveSummary()


def _music(model: str, device: str, engine_config: EngineConfig) -> MusicDetector:
    del model, device, engine_config  # there is one
    return MusicDetector()


ENGINE = Engine(
    name=ANALYSIS,
    package="numpy",
    offers=_offers,
    loaders={StageName.SENTIMENT: _sentiment, StageName.SUMMARY: _summary, StageName.AUDIO_EVENTS: _music},
)
