"""The onnx-asr engine: one offer for each Parakeet or Canary model in the models folder."""

import importlib.util

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.models import offers
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities, Recognizer, Skill


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    if importlib.util.find_spec("onnx_asr") is None or not offers.has_onnxruntime(engine_config):
        return ()
    return tuple(
        offers.transcribing(model, engine_config, model.languages)
        for model in offers.stored("onnx-asr", engine_config)
        if model.languages
    )


def _load(model: str, device: str, engine_config: EngineConfig) -> Recognizer:
    from sottovoce.engines.onnx_asr.recognizer import OnnxAsr

    return OnnxAsr(
        ModelStore(engine_config.models).path(model),
        offers.offer_of(_offers, model, engine_config),
        kind=f"nemo-{model}",
        device=device,
        threads=engine_config.threads,
        batch=engine_config.batch,
    )


ENGINE = Engine(name="onnx-asr", package="onnx-asr", offers=_offers, loaders={Skill.TRANSCRIPTION: _load})
