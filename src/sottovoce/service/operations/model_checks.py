"""The part of `doctor` that looks into models: every byte of them, and whether the ones in use can be loaded."""

from collections.abc import Iterator
from dataclasses import dataclass

from sottovoce.engines import registry, remedies
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.models.catalogue import ENGINES, ModelFault
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities
from sottovoce.errors import EngineUnavailable
from sottovoce.inference import messages as m
from sottovoce.inference.pool import Pool, PoolPolicy, ProcessDied
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import AUTO, PACKS

LOAD_TIMEOUT = 120.0
"""Seconds that a model may take to load; large-v3 from a slow disk takes a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found out about one model: *sound*, and in words."""

    sound: bool
    text: str


def folders(engine_config: EngineConfig, *, read: bool) -> Iterator[Looked]:
    """Every folder of the models folder: those that no engine can load, and with *read* every byte of the others."""
    shelf = ModelStore(engine_config.models)
    for name, fault in shelf.faults():
        yield Looked(sound=False, text=f"{name} cannot be used: {fault}; {remedies.of_fault(name)}")
    for model in shelf.present() if read else ():
        try:
            verdict = shelf.verify(model.name)
        except ModelFault as fault:
            yield Looked(sound=False, text=str(fault))
            continue
        wrong = [
            f"{word} {', '.join(names)}"
            for word, names in (
                ("missing", verdict.missing),
                ("changed", verdict.changed),
                ("not of it", verdict.extra),
            )
            if names
        ]
        if wrong:
            yield Looked(sound=False, text=f"{model.name}: {'; '.join(wrong)}; {remedies.of_changed(model.name)}")
        elif verdict.recorded:
            yield Looked(
                sound=True, text=f"{model.name}: {verdict.checked} files have the SHA-256 that they should have"
            )
        else:
            yield Looked(sound=True, text=f"{model.name}: a model of your own, no checksums are known")


def loads(
    engine_config: EngineConfig, offers: tuple[Capabilities, ...], timeout: float = LOAD_TIMEOUT
) -> Iterator[Looked]:
    """Whether each model that answers for some language can be loaded, one after the other, each in a process of its own.

    A process that does not answer within *timeout* seconds is killed.
    """
    for key in sorted(_in_use(offers), key=lambda key: key.model):
        pool = Pool(PoolPolicy(load_timeout=timeout), engine_config)
        try:
            pool.prestart(key, 1)
        except (EngineUnavailable, ProcessDied, OSError) as error:
            why = error.detail if isinstance(error, EngineUnavailable) else str(error)
            yield Looked(
                sound=False, text=f"{key.model} cannot be loaded: {why}; `sottovoce models verify {key.model}`"
            )
        else:
            yield Looked(sound=True, text=f"{key.model}: {key.engine} loads it on {key.device}")
        finally:
            pool.close()


def _in_use(offers: tuple[Capabilities, ...]) -> set[m.EngineKey]:
    """The models in folders that some language and operating point is answered by."""
    found = set()
    for language in (*PACKS, AUTO):
        for point in OperatingPoint:
            try:
                choice = registry.choose(language, point, offers)
            except EngineUnavailable:
                continue
            if choice.engine in ENGINES:
                found.add(m.EngineKey(engine=choice.engine, model=choice.model, device=choice.device))
    return found
