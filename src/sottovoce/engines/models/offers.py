"""What the stored models of an engine can do, for the `offers` of its `ENGINE`."""

import contextlib
import importlib.metadata
from collections.abc import Callable, Iterator

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.models.catalogue import Model
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities
from sottovoce.errors import EngineUnavailable


def stored(engine: str, engine_config: EngineConfig) -> Iterator[Model]:
    """Yield the complete models of *engine* in the models folder."""
    return (model for model in ModelStore(engine_config.models).present() if model.engine == engine)


def transcribing(model: Model, engine_config: EngineConfig, languages: frozenset[str]) -> Capabilities:
    """Return the capabilities common to all stored models for transcription: punctuation, word confidence, and a grade."""
    return Capabilities(
        engine=model.engine,
        model=model.name,
        languages=languages,
        punctuates=True,
        word_confidence=True,
        grade=model.grade,
        suits=model.suits,
        device=engine_config.kind_of_device,
    )


def offer_of(
    offers: Callable[[EngineConfig], tuple[Capabilities, ...]], model: str, engine_config: EngineConfig
) -> Capabilities:
    """Return the entry of *offers* for *model*. Raises `EngineUnavailable` if it is absent or was removed."""
    for entry in offers(engine_config):
        if entry.model == model:
            return entry
    raise EngineUnavailable(f"the model {model} is not complete on this machine: {pull_command(model)}", at=None)


def pull_command(model: str) -> str:
    """Return the advice to pull *model*."""
    return f"run `sottovoce models pull {model}`"


def has_onnxruntime(engine_config: EngineConfig) -> bool:
    """Return True if ONNX models can run on the configured device. If not, they must not be offered: they would fail to load."""
    return engine_config.kind_of_device != "cuda" or _installed("onnxruntime-gpu")


def _installed(package: str) -> bool:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.distribution(package) is not None
    return False
