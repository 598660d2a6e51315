"""The PocketSphinx engine: one English model, which is part of its package and runs on the CPU."""

import importlib.util

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.protocols import Aligner, Capabilities, LiveRecognizer, Recognizer, Skill


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    del engine_config  # its only model is part of its package
    if importlib.util.find_spec("pocketsphinx") is None:
        return ()
    from sottovoce.engines.pocketsphinx.recognizer import CAPABILITIES

    return (CAPABILITIES,)


def _load(model: str, device: str, engine_config: EngineConfig) -> Recognizer:
    from sottovoce.engines.pocketsphinx.recognizer import PocketSphinx

    del model, device, engine_config  # it has one model and runs on the CPU
    return PocketSphinx()


def _load_aligner(model: str, device: str, engine_config: EngineConfig) -> Aligner:
    from sottovoce.engines.pocketsphinx.aligner import PocketSphinxAligner

    del model, device, engine_config
    return PocketSphinxAligner()


def _load_live(model: str, device: str, engine_config: EngineConfig) -> LiveRecognizer:
    from sottovoce.engines.pocketsphinx.live import PocketSphinxLive

    del model, device, engine_config
    return PocketSphinxLive()


ENGINE = Engine(
    name="pocketsphinx",
    package="pocketsphinx",
    offers=_offers,
    loaders={Skill.TRANSCRIPTION: _load, Skill.ALIGNMENT: _load_aligner, Skill.LIVE: _load_live},
)
