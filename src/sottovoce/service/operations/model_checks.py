"""The model checks of `doctor`: the checksums of installed models, and a test load of the models in use."""

from collections.abc import Iterator
from dataclasses import dataclass

from sottovoce.engines import registry, remedies
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.models.catalogue import ENGINES, ModelFault
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities
from sottovoce.errors import EngineUnavailable
from sottovoce.inference.pool import Pool, PoolPolicy, ProcessDied
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import AUTO, PACKS

LOAD_TIMEOUT = 120.0
"""Seconds allowed for loading a model; large-v3 from a slow disk takes a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The result of one check of a model: *sound* if it passed, and a *text* for the operator."""

    sound: bool
    text: str


def folders(engine_config: EngineConfig, *, read: bool) -> Iterator[Looked]:
    """Yield a result for each model folder that no engine can load and, with *read*, for the checksums of each other one."""
    store = ModelStore(engine_config.models)
    for name, fault in store.faults():
        yield Looked(sound=False, text=f"{name} cannot be used: {fault}; {remedies.of_fault(name)}")
    for model in store.present() if read else ():
        try:
            checked = store.verify(model.name)
        except ModelFault as fault:
            yield Looked(sound=False, text=str(fault))
            continue
        wrong = [
            f"{word} {', '.join(names)}"
            for word, names in (
                ("missing", checked.missing),
                ("changed", checked.changed),
                ("unexpected", checked.extra),
            )
            if names
        ]
        if wrong:
            yield Looked(sound=False, text=f"{model.name}: {'; '.join(wrong)}; {remedies.of_changed(model.name)}")
        elif checked.recorded:
            yield Looked(sound=True, text=f"{model.name}: the SHA-256 of all {checked.checked} files is correct")
        else:
            yield Looked(sound=True, text=f"{model.name}: a model of your own, without recorded checksums")


def loads(
    engine_config: EngineConfig, offers: tuple[Capabilities, ...], timeout: float = LOAD_TIMEOUT
) -> Iterator[Looked]:
    """Load each model that is in use, one after the other, each in its own process, and yield the results.

    A process that does not answer within *timeout* seconds is killed.
    """
    for key in sorted(_in_use(offers), key=lambda key: key.model):
        pool = Pool(PoolPolicy(load_timeout=timeout), engine_config)
        try:
            pool.prestart(key, 1)
        except (EngineUnavailable, ProcessDied, OSError) as error:
            why = error.detail if isinstance(error, EngineUnavailable) else str(error)
            yield Looked(
                sound=False, text=f"{key.model} cannot be loaded: {why}; run `sottovoce models verify {key.model}`"
            )
        else:
            yield Looked(sound=True, text=f"{key.model}: {key.engine} loads it on {key.device}")
        finally:
            pool.close()


def _in_use(offers: tuple[Capabilities, ...]) -> set[EngineKey]:
    """Return the models in folders that are chosen for at least one language and operating point."""
    found = set()
    for language in (*PACKS, AUTO):
        for point in OperatingPoint:
            try:
                choice = registry.choose(language, point, offers)
            except EngineUnavailable:
                continue
            if choice.engine in ENGINES:
                found.add(choice.key)
    return found
