"""The CTC aligner: one offer for each CTC model in the models folder whose languages are listed."""

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.models import offers
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Aligner, Capabilities, Skill


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    if not offers.has_onnxruntime(engine_config):
        return ()
    from sottovoce.engines.ctc import aligner

    found = (aligner.offer(each, engine_config.kind_of_device) for each in offers.stored("ctc", engine_config))
    return tuple(entry for entry in found if entry)


def _load(model: str, device: str, engine_config: EngineConfig) -> Aligner:
    from sottovoce.engines.ctc.aligner import CtcAligner

    offer = offers.offer_of(_offers, model, engine_config)
    return CtcAligner(ModelStore(engine_config.models).path(model), offer, device=device, threads=engine_config.threads)


ENGINE = Engine(name="ctc", package="onnxruntime", offers=_offers, loaders={Skill.ALIGNMENT: _load})
