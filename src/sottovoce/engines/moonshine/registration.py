"""The Moonshine engine: one offer for each English Moonshine model in the models folder. It runs on the CPU only."""

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.models import offers
from sottovoce.engines.models.catalogue import MOONSHINE
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities, LiveRecognizer, Skill

if TYPE_CHECKING:
    from sottovoce.engines.moonshine.recognizer import Moonshine

_LANGUAGES = frozenset({"en"})  # those of the aligner


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    if importlib.util.find_spec("pocketsphinx") is None:
        return ()
    return tuple(
        replace(
            offers.transcribing(model, engine_config, languages),
            skills=frozenset({Skill.TRANSCRIPTION, Skill.LIVE}),
            device="cpu",
        )
        for model in offers.stored(MOONSHINE, engine_config)
        if (languages := (model.languages or frozenset()) & _LANGUAGES)
    )


def _load(model: str, device: str, engine_config: EngineConfig) -> "Moonshine":
    from sottovoce.engines.moonshine.recognizer import Moonshine

    del device  # its graphs are quantized for a CPU
    return Moonshine(
        ModelStore(engine_config.models).path(model),
        offers.offer_of(_offers, model, engine_config),
        threads=engine_config.threads,
        workers=engine_config.workers,
    )


def _load_live(model: str, device: str, engine_config: EngineConfig) -> LiveRecognizer:
    from sottovoce.engines.moonshine.live import MoonshineLive

    # one thread: a token takes 5 ms, and sessions share the cores
    return MoonshineLive(_load(model, device, replace(engine_config, threads=1)))


ENGINE = Engine(
    name=MOONSHINE,
    package="pocketsphinx",
    offers=_offers,
    loaders={Skill.TRANSCRIPTION: _load, Skill.LIVE: _load_live},
)
