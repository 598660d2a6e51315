"""Which engine recognises what, and why: the one table behind refusals at submit, discovery and `doctor`."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sottovoce.engines.protocols import Capabilities, Recognizer
from sottovoce.errors import EngineUnavailable
from sottovoce.request import OperatingPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine as known before it is loaded: what it could do here, how to load it, and which package it needs."""

    name: str
    package: str
    offers: Callable[[], tuple[Capabilities, ...]]
    load: Callable[[str, str], Recognizer]  # model, device


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The engine and model for one language and operating point, and *why* in words for the job's log."""

    engine: str
    model: str
    device: str
    why: str
    capabilities: Capabilities


def _pocketsphinx_offers() -> tuple[Capabilities, ...]:
    if importlib.util.find_spec("pocketsphinx") is None:
        return ()
    from sottovoce.engines.pocketsphinx import CAPABILITIES

    return (CAPABILITIES,)


def _load_pocketsphinx(model: str, device: str) -> Recognizer:
    from sottovoce.engines.pocketsphinx import PocketSphinx

    del model, device  # it has one model and runs on the CPU
    return PocketSphinx()


ENGINES: Mapping[str, Engine] = {
    "pocketsphinx": Engine(
        name="pocketsphinx", package="pocketsphinx", offers=_pocketsphinx_offers, load=_load_pocketsphinx
    ),
}
"""Every engine that this release has an adapter for, best first."""

_WHY = {
    "pocketsphinx": "the embedded English engine: small, offline, tens of percent of words wrong",
}


def engine(name: str) -> Engine:
    """The engine called *name*; `package.module:ATTRIBUTE` imports an operator's own. Raises `EngineUnavailable`."""
    if name in ENGINES:
        return ENGINES[name]
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        known = ", ".join(ENGINES)
        raise EngineUnavailable(
            f"no engine {name!r}; there are {known}, or name your own as package.module:ENGINE", at=None
        ) from error
    if not isinstance(found, Engine):
        raise EngineUnavailable(f"{name} is no Engine", at=None)
    return found


def offered(configured: str = "auto") -> tuple[Capabilities, ...]:
    """Capabilities of every engine that is present and allowed by the setting *configured*, best first."""
    names = list(ENGINES) if configured == "auto" else [configured]
    # an operator's own engine is known to everybody by the name under which it can be imported again
    return tuple(replace(entry, engine=name) for name in names for entry in engine(name).offers())


def choose(language: str, point: OperatingPoint, offers: tuple[Capabilities, ...]) -> Choice:
    """The best of *offers* for *language* and *point*.

    Raises `EngineUnavailable` that says what is there and what to do about it.
    """
    for candidate in offers:
        if language in candidate.languages and point in candidate.operating_points:
            why = (
                f"{_WHY.get(candidate.engine, candidate.engine)}; best of {len(offers)} present for {language}/{point}"
            )
            return Choice(engine=candidate.engine, model=candidate.model, device="cpu", why=why, capabilities=candidate)
    raise EngineUnavailable(refusal(language, offers))


def refusal(language: str, offers: tuple[Capabilities, ...]) -> str:
    """Why *language* cannot be transcribed here, for the caller."""
    known = sorted({code for candidate in offers for code in candidate.languages})
    listed = ", ".join(known) if known else "none"
    return f"language {language!r} is not available on this server (available: {listed})"


def load(name: str, model: str, device: str) -> Recognizer:
    """The loaded engine. Raises `EngineUnavailable` when it cannot be loaded, whatever its library raised."""
    try:
        return engine(name).load(model, device)
    except EngineUnavailable:
        raise
    except Exception as error:
        raise EngineUnavailable(f"{name} {model} cannot be loaded: {type(error).__name__}: {error}", at=None) from error
