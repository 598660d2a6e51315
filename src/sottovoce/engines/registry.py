"""Registry of engines: chooses the engine and model for a language and operating point, and loads it.

The same table decides which jobs are rejected at submit, what discovery lists, and what `doctor` reports.

Parts, in order: `Engine` and `Choice`; what each engine of this release offers and how it is loaded; the table `ENGINES`;
listing offers; choosing a recogniser, aligner or diarizer; refusals; loading.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sottovoce.engines import remedies
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.models.catalogue import Model
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Aligner, Capabilities, Diarizer, Recognizer, Skill
from sottovoce.errors import EngineUnavailable
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import AUTO

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine before it is loaded: what it offers on this machine, how to load it, and the package it needs.

    *load*, *align* and *diarize* take the model's name, the device (`cpu`, `cuda:0` …) and the `EngineConfig`; None if
    the engine lacks that skill.
    """

    name: str
    package: str
    offers: Callable[[EngineConfig], tuple[Capabilities, ...]]
    load: Callable[[str, str, EngineConfig], Recognizer] | None = None
    align: Callable[[str, str, EngineConfig], Aligner] | None = None
    diarize: Callable[[str, str, EngineConfig], Diarizer] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The engine and model chosen for one language and operating point; *why* is the reason, for the job's log."""

    engine: str
    model: str
    device: str
    why: str
    capabilities: Capabilities


# ── the engines of this release ──


def _pocketsphinx_offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    del engine_config  # its only model is part of its package
    if importlib.util.find_spec("pocketsphinx") is None:
        return ()
    from sottovoce.engines.pocketsphinx.recognizer import CAPABILITIES

    return (CAPABILITIES,)


def _load_pocketsphinx(model: str, device: str, engine_config: EngineConfig) -> Recognizer:
    from sottovoce.engines.pocketsphinx.recognizer import PocketSphinx

    del model, device, engine_config  # it has one model and runs on the CPU
    return PocketSphinx()


def _load_pocketsphinx_aligner(model: str, device: str, engine_config: EngineConfig) -> Aligner:
    from sottovoce.engines.pocketsphinx.aligner import PocketSphinxAligner

    del model, device, engine_config
    return PocketSphinxAligner()


def _whisper_offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    if importlib.util.find_spec("faster_whisper") is None:
        return ()
    return tuple(
        replace(
            _store_capabilities(model, engine_config, remedies.languages_of(model)),
            custom_vocab=True,
            identifies_language=model.languages is None,
        )
        for model in ModelStore(engine_config.models).present()
        if model.engine == "whisper"
    )


def _load_whisper(model: str, device: str, engine_config: EngineConfig) -> Recognizer:
    from sottovoce.engines.whisper.engine import Whisper

    return Whisper(
        ModelStore(engine_config.models).path(model),
        _offer("whisper", model, engine_config),
        device=device,
        compute_type=engine_config.compute_type,
        threads=engine_config.threads,
        batch=engine_config.batch,
        beam=engine_config.beam,
        workers=engine_config.workers,
    )


def _onnx_asr_offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    if importlib.util.find_spec("onnx_asr") is None or not _has_onnxruntime(engine_config):
        return ()
    return tuple(
        _store_capabilities(model, engine_config, model.languages)
        for model in ModelStore(engine_config.models).present()
        if model.engine == "onnx-asr" and model.languages
    )


def _load_onnx_asr(model: str, device: str, engine_config: EngineConfig) -> Recognizer:
    from sottovoce.engines.onnx_asr import OnnxAsr

    return OnnxAsr(
        ModelStore(engine_config.models).path(model),
        _offer("onnx-asr", model, engine_config),
        kind=f"nemo-{model}",
        device=device,
        threads=engine_config.threads,
        batch=engine_config.batch,
    )


def _has_onnxruntime(engine_config: EngineConfig) -> bool:
    """True if ONNX models can run on the configured device. If not, they must not be offered: they would fail to load."""
    return engine_config.kind_of_device != "cuda" or _installed("onnxruntime-gpu")


def _ctc_offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    if not _has_onnxruntime(engine_config):
        return ()
    from sottovoce.engines.ctc import aligner

    found = (
        aligner.offer(each, engine_config.kind_of_device)
        for each in ModelStore(engine_config.models).present()
        if each.engine == "ctc"
    )
    return tuple(entry for entry in found if entry)


def _load_ctc(model: str, device: str, engine_config: EngineConfig) -> Aligner:
    from sottovoce.engines.ctc.aligner import CtcAligner

    folder = ModelStore(engine_config.models).path(model)
    return CtcAligner(folder, _offer("ctc", model, engine_config), device=device, threads=engine_config.threads)


def _builtin_offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    from sottovoce.engines.diarization.gaussian.diarizer import CAPABILITIES

    del engine_config
    return (CAPABILITIES,)


def _load_builtin(model: str, device: str, engine_config: EngineConfig) -> Diarizer:
    from sottovoce.engines.diarization.gaussian.diarizer import GaussianDiarizer

    del model, device, engine_config
    return GaussianDiarizer()


def _voice_encoder_offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    from sottovoce.engines.diarization.ge2e import diarizer

    present = ModelStore(engine_config.models).present()
    return tuple(diarizer.offer(model) for model in present if model.engine == "voice-encoder")


def _load_voice_encoder(model: str, device: str, engine_config: EngineConfig) -> Diarizer:
    from sottovoce.engines.diarization.ge2e.diarizer import Ge2eDiarizer

    del device  # it runs on the CPU
    folder = ModelStore(engine_config.models).path(model)
    return Ge2eDiarizer(folder, _offer("voice-encoder", model, engine_config), threads=engine_config.threads)


def _installed(package: str) -> bool:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.distribution(package) is not None
    return False


def _store_capabilities(model: Model, engine_config: EngineConfig, languages: frozenset[str]) -> Capabilities:
    """Capabilities common to all transcription models of the model store: punctuation, word confidence, and a grade."""
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


def _offer(name: str, model: str, engine_config: EngineConfig) -> Capabilities:
    """The capabilities of *model* of the engine *name*. Raises `EngineUnavailable` if it is absent or was removed."""
    for entry in ENGINES[name].offers(engine_config):
        if entry.model == model:
            return entry
    raise EngineUnavailable(f"the model {model} is not complete on this machine: {_pull_command(model)}", at=None)


ENGINES: Mapping[str, Engine] = {
    "whisper": Engine(name="whisper", package="faster-whisper", offers=_whisper_offers, load=_load_whisper),
    "onnx-asr": Engine(name="onnx-asr", package="onnx-asr", offers=_onnx_asr_offers, load=_load_onnx_asr),
    "pocketsphinx": Engine(
        name="pocketsphinx",
        package="pocketsphinx",
        offers=_pocketsphinx_offers,
        load=_load_pocketsphinx,
        align=_load_pocketsphinx_aligner,
    ),
    "ctc": Engine(name="ctc", package="onnxruntime", offers=_ctc_offers, align=_load_ctc),
    "voice-encoder": Engine(
        name="voice-encoder", package="numpy", offers=_voice_encoder_offers, diarize=_load_voice_encoder
    ),
    "builtin": Engine(name="builtin", package="numpy", offers=_builtin_offers, diarize=_load_builtin),
}
"""Every engine that this release has an adapter for."""

_DESCRIPTIONS = {
    "pocketsphinx": "the embedded English engine: small, offline, tens of percent of words wrong",
}
"""Descriptions of engines for the job's log, in place of engine and model name."""


def engine(name: str) -> Engine:
    """The engine called *name*; `package.module:ATTRIBUTE` imports the operator's own. Raises `EngineUnavailable`."""
    if name in ENGINES:
        return ENGINES[name]
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        known = ", ".join(ENGINES)
        raise EngineUnavailable(
            f"no engine {name!r}; use {known}, or name your own as package.module:ENGINE", at=None
        ) from error
    if not isinstance(found, Engine):
        raise EngineUnavailable(f"{name} is not an instance of sottovoce.engines.registry.Engine", at=None)
    return found


def offered(engine_config: EngineConfig, configured: str = "auto") -> tuple[Capabilities, ...]:
    """Capabilities of every engine and model on this machine; *configured* limits the engine for transcription.

    *configured*: `auto`, or the name of the only engine that may transcribe. Raises `EngineUnavailable` for a pinned model
    that is absent or cannot be used.
    """
    names = dict.fromkeys([*ENGINES, *([] if configured == "auto" else [configured])])
    # The operator's own engine is listed under its import name, so that every process can import it again.
    every = [replace(entry, engine=name) for name in names for entry in engine(name).offers(engine_config)]
    found = every if configured == "auto" else [each for entry in every for each in _allowed(entry, configured)]
    for point, model in engine_config.pinned.items():
        if model not in {entry.model for entry in found if Skill.TRANSCRIPTION in entry.skills}:
            fault = dict(ModelStore(engine_config.models).faults()).get(model)
            state = f"cannot be used, {fault}" if fault else "is not present"
            raise EngineUnavailable(
                f"the model for {point}, {model}, {state}: {_pull_command(model)}, or unset the setting", at=None
            )
    return tuple(replace(entry, pinned=_pins(entry.model, engine_config)) for entry in found)


def _allowed(entry: Capabilities, configured: str) -> tuple[Capabilities, ...]:
    """*entry* without transcription unless it is of the engine *configured*; empty if no skill remains."""
    if entry.engine == configured:
        return (entry,)
    others = entry.skills - {Skill.TRANSCRIPTION}
    return (replace(entry, skills=others),) if others else ()


def _pins(model: str, engine_config: EngineConfig) -> frozenset[OperatingPoint]:
    return frozenset(point for point, pinned in engine_config.pinned.items() if pinned == model)


def _pull_command(model: str) -> str:
    return f"run `sottovoce models pull {model}`"


def choose(language: str, point: OperatingPoint, offers: tuple[Capabilities, ...]) -> Choice:
    """The best of *offers* for *language* (`auto`: one that identifies the language) and *point*.

    Raises `EngineUnavailable` with the available languages and the command that adds this one.
    """
    offers = skilled(offers, Skill.TRANSCRIPTION)
    fitting = [entry for entry in offers if point in entry.operating_points and _supports(entry, language)]
    if not fitting:
        raise EngineUnavailable(refusal(language, offers))
    best = max(fitting, key=lambda entry: _preference(entry, point))
    known = _DESCRIPTIONS.get(best.engine, f"{best.engine} {best.model}")
    reason = f"the model set for {point}" if point in best.pinned else f"best of {len(fitting)} present"
    why = f"{known}; {reason} for {language}/{point}"
    return Choice(engine=best.engine, model=best.model, device=best.device, why=why, capabilities=best)


def skilled(offers: Iterable[Capabilities], skill: Skill) -> tuple[Capabilities, ...]:
    """Those of *offers* that have *skill*."""
    return tuple(entry for entry in offers if skill in entry.skills)


def choose_aligner(language: str, offers: tuple[Capabilities, ...]) -> Choice:
    """The best aligner of *offers* for *language*. Raises `EngineUnavailable` with the available languages."""
    aligners = skilled(offers, Skill.ALIGNMENT)
    fitting = [entry for entry in aligners if language in entry.languages]
    if not fitting:
        known = ", ".join(sorted({code for entry in aligners for code in entry.languages})) or "none"
        why = f"language {language!r} cannot be aligned on this server (available: {known})"
        cure = "; the operator can add a CTC model of that language to the model folder"
        raise EngineUnavailable(why + cure, at="alignment_config.language")
    return _graded(fitting, f"aligner for {language}")


def choose_diarizer(offers: tuple[Capabilities, ...]) -> Choice | None:
    """The best diarizer of *offers*; None if there is none."""
    fitting = skilled(offers, Skill.DIARIZATION)
    return _graded(fitting, "diarizer") if fitting else None


def _graded(fitting: Sequence[Capabilities], what: str) -> Choice:
    best = max(fitting, key=lambda entry: entry.grade)
    why = f"{best.engine} {best.model}; best {what} of {len(fitting)} present"
    return Choice(engine=best.engine, model=best.model, device=best.device, why=why, capabilities=best)


def _supports(entry: Capabilities, language: str) -> bool:
    return entry.identifies_language if language == AUTO else language in entry.languages


def _preference(entry: Capabilities, point: OperatingPoint) -> tuple[bool, bool, bool, int]:
    """Sort key, highest first: pinned by the operator; not a fallback (grade 0); suited to *point*; grade.

    Every model suits `enhanced`. For `standard`, a model meant for `enhanced` does not suit, and of those models the one
    with the lowest grade, the cheapest, is preferred.
    """
    suits = point is OperatingPoint.ENHANCED or entry.suits in (None, point)
    grade = entry.grade if suits else -entry.grade
    return point in entry.pinned, entry.grade > 0, suits, grade


def refusal(language: str, offers: tuple[Capabilities, ...]) -> str:
    """The message to the caller that *language* cannot be transcribed here, with the command that adds it."""
    model = remedies.to_pull(language)
    if language == AUTO:
        what = "language identification is not available on this server; name the language"
        return f"{what}, or have the operator run {remedies.command(model)}" if model else what
    known = sorted({code for candidate in skilled(offers, Skill.TRANSCRIPTION) for code in candidate.languages})
    listed = ", ".join(known) if known else "none"
    what = f"language {language!r} is not available on this server (available: {listed})"
    return f"{what}; the operator can run {remedies.command(model)}" if model else what


def load(name: str, model: str, device: str, engine_config: EngineConfig) -> Recognizer:
    """The loaded recogniser. Raises `EngineUnavailable` for any failure to load it."""
    return _loaded(engine(name).load, name, model, device, engine_config)


def load_aligner(name: str, model: str, device: str, engine_config: EngineConfig) -> Aligner:
    """The loaded aligner. Raises `EngineUnavailable` for any failure to load it."""
    return _loaded(engine(name).align, name, model, device, engine_config)


def load_diarizer(name: str, model: str, device: str, engine_config: EngineConfig) -> Diarizer:
    """The loaded diarizer. Raises `EngineUnavailable` for any failure to load it."""
    return _loaded(engine(name).diarize, name, model, device, engine_config)


def _loaded(
    loader: Callable[[str, str, EngineConfig], T] | None,
    name: str,
    model: str,
    device: str,
    engine_config: EngineConfig,
) -> T:
    if loader is None:
        raise EngineUnavailable(f"the engine {name} does not have the requested skill", at=None)
    try:
        return loader(model, device, engine_config)
    except EngineUnavailable:
        raise
    except Exception as error:
        raise EngineUnavailable(f"{name} {model} cannot be loaded: {type(error).__name__}: {error}", at=None) from error
