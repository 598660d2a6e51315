"""The embedded diarizer, which needs no model."""

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.protocols import Capabilities, Diarizer, LiveDiarizers, Skill


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    from sottovoce.engines.diarization.gaussian.diarizer import CAPABILITIES

    del engine_config
    return (CAPABILITIES,)


def _load(model: str, device: str, engine_config: EngineConfig) -> Diarizer:
    from sottovoce.engines.diarization.gaussian.diarizer import GaussianDiarizer

    del model, device, engine_config
    return GaussianDiarizer()


def _load_live(model: str, device: str, engine_config: EngineConfig) -> LiveDiarizers:
    from sottovoce.engines.diarization.gaussian.live import LiveGaussianDiarizers

    del model, device, engine_config
    return LiveGaussianDiarizers()


ENGINE = Engine(
    name="builtin",
    package="numpy",
    offers=_offers,
    loaders={Skill.DIARIZATION: _load, Skill.LIVE_DIARIZATION: _load_live},
)
