"""The diarizer with a voice encoder: one offer for each voice encoder in the models folder."""

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.models import offers
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities, Diarizer, Skill


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    from sottovoce.engines.diarization.ge2e import diarizer

    return tuple(diarizer.offer(model) for model in offers.stored("voice-encoder", engine_config))


def _load(model: str, device: str, engine_config: EngineConfig) -> Diarizer:
    from sottovoce.engines.diarization.ge2e.diarizer import Ge2eDiarizer

    del device  # it runs on the CPU
    offer = offers.offer_of(_offers, model, engine_config)
    return Ge2eDiarizer(ModelStore(engine_config.models).path(model), offer, threads=engine_config.threads)


ENGINE = Engine(name="voice-encoder", package="numpy", offers=_offers, loaders={Skill.DIARIZATION: _load})
