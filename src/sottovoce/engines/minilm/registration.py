"""Topics and chapters by sentence vectors: an offer of each for each encoder of sentences in the models folder."""

from pathlib import Path

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.models import offers
from sottovoce.engines.models.catalogue import MINILM
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities
from sottovoce.intelligence.backends.builtin.chapters import TiledChapters
from sottovoce.intelligence.backends.builtin.topics import VectorTopics
from sottovoce.intelligence.protocols import SentenceVectors
from sottovoce.intelligence.stages import StageName

_loaded: dict[tuple[Path, str], SentenceVectors] = {}
"""The vectors of one process, which both skills share."""


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    return tuple(
        Capabilities(
            engine=MINILM,
            model=model.name,
            languages=model.languages or frozenset(),
            skills=frozenset({skill}),
            grade=model.grade,
        )
        for model in offers.stored(MINILM, engine_config)
        for skill in (StageName.TOPICS, StageName.CHAPTERS)
    )


def _vectors(model: str, device: str, engine_config: EngineConfig) -> SentenceVectors:
    folder = ModelStore(engine_config.models).path(model)
    if (folder, device) not in _loaded:
        from sottovoce.engines.minilm.sentence_vectors import EncoderVectors

        offer = offers.offer_of(_offers, model, engine_config)
        threads = engine_config.threads
        _loaded[folder, device] = EncoderVectors(folder, offer.languages, device=device, threads=threads)
    return _loaded[folder, device]


def _topics(model: str, device: str, engine_config: EngineConfig) -> VectorTopics:
    return VectorTopics(_vectors(model, device, engine_config))


def _chapters(model: str, device: str, engine_config: EngineConfig) -> TiledChapters:
    return TiledChapters(_vectors(model, device, engine_config))


ENGINE = Engine(
    name=MINILM,
    package="onnxruntime",
    offers=_offers,
    loaders={StageName.TOPICS: _topics, StageName.CHAPTERS: _chapters},
)
