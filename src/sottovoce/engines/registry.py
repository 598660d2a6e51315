"""Which engine recognises, aligns or diarizes what, and why: the one table behind refusals at submit, discovery and `doctor`."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sottovoce.engines.config import Setup
from sottovoce.engines.models import remedies
from sottovoce.engines.models.catalogue import Model
from sottovoce.engines.models.store import Shelf
from sottovoce.engines.protocols import Aligner, Capabilities, Diarizer, Recognizer, Skill
from sottovoce.errors import EngineUnavailable
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import AUTO

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine as known before it is loaded: what it could do here, how to load it, and which package it needs.

    *load*, *align* and *diarize* take the model's name, the device (`cpu`, `cuda:0` …) and the setup; None: not its skill.
    """

    name: str
    package: str
    offers: Callable[[Setup], tuple[Capabilities, ...]]
    load: Callable[[str, str, Setup], Recognizer] | None = None
    align: Callable[[str, str, Setup], Aligner] | None = None
    diarize: Callable[[str, str, Setup], Diarizer] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The engine and model for one language and operating point, and *why* in words for the job's log."""

    engine: str
    model: str
    device: str
    why: str
    capabilities: Capabilities


# ── the engines of this release ──


def _pocketsphinx_offers(setup: Setup) -> tuple[Capabilities, ...]:
    del setup  # its one model comes in its package
    if importlib.util.find_spec("pocketsphinx") is None:
        return ()
    from sottovoce.engines.pocketsphinx.recognizer import CAPABILITIES

    return (CAPABILITIES,)


def _load_pocketsphinx(model: str, device: str, setup: Setup) -> Recognizer:
    from sottovoce.engines.pocketsphinx.recognizer import PocketSphinx

    del model, device, setup  # it has one model and runs on the CPU
    return PocketSphinx()


def _load_pocketsphinx_aligner(model: str, device: str, setup: Setup) -> Aligner:
    from sottovoce.engines.pocketsphinx.aligner import PocketSphinxAligner

    del model, device, setup
    return PocketSphinxAligner()


def _whisper_offers(setup: Setup) -> tuple[Capabilities, ...]:
    if importlib.util.find_spec("faster_whisper") is None:
        return ()
    return tuple(
        replace(
            _described(model, setup, remedies.languages_of(model)),
            custom_vocab=True,
            identifies_language=model.languages is None,
        )
        for model in Shelf(setup.models).present()
        if model.engine == "whisper"
    )


def _load_whisper(model: str, device: str, setup: Setup) -> Recognizer:
    from sottovoce.engines.whisper.engine import Whisper

    return Whisper(
        Shelf(setup.models).path(model),
        _offer("whisper", model, setup),
        device=device,
        compute_type=setup.compute_type,
        threads=setup.threads,
        batch=setup.batch,
        beam=setup.beam,
        workers=setup.workers,
    )


def _onnx_asr_offers(setup: Setup) -> tuple[Capabilities, ...]:
    if importlib.util.find_spec("onnx_asr") is None or not _has_onnxruntime(setup):
        return ()
    return tuple(
        _described(model, setup, model.languages)
        for model in Shelf(setup.models).present()
        if model.engine == "onnx-asr" and model.languages
    )


def _load_onnx_asr(model: str, device: str, setup: Setup) -> Recognizer:
    from sottovoce.engines.onnx_asr import OnnxAsr

    return OnnxAsr(
        Shelf(setup.models).path(model),
        _offer("onnx-asr", model, setup),
        kind=f"nemo-{model}",
        device=device,
        threads=setup.threads,
        batch=setup.batch,
    )


def _has_onnxruntime(setup: Setup) -> bool:
    """Whether ONNX models can run where *setup* wants them; graded high, they would be chosen and then not load."""
    return setup.kind_of_device != "cuda" or _installed("onnxruntime-gpu")


def _ctc_offers(setup: Setup) -> tuple[Capabilities, ...]:
    if not _has_onnxruntime(setup):
        return ()
    from sottovoce.engines.ctc import aligner

    found = (
        aligner.offer(each, setup.kind_of_device) for each in Shelf(setup.models).present() if each.engine == "ctc"
    )
    return tuple(entry for entry in found if entry)


def _load_ctc(model: str, device: str, setup: Setup) -> Aligner:
    from sottovoce.engines.ctc.aligner import CtcAligner

    folder = Shelf(setup.models).path(model)
    return CtcAligner(folder, _offer("ctc", model, setup), device=device, threads=setup.threads)


def _builtin_offers(setup: Setup) -> tuple[Capabilities, ...]:
    from sottovoce.engines.diarization.gaussian.diarizer import CAPABILITIES

    del setup
    return (CAPABILITIES,)


def _load_builtin(model: str, device: str, setup: Setup) -> Diarizer:
    from sottovoce.engines.diarization.gaussian.diarizer import BuiltinDiarizer

    del model, device, setup
    return BuiltinDiarizer()


def _voice_encoder_offers(setup: Setup) -> tuple[Capabilities, ...]:
    from sottovoce.engines.diarization.ge2e import diarizer

    present = Shelf(setup.models).present()
    return tuple(diarizer.offer(model) for model in present if model.engine == "voice-encoder")


def _load_voice_encoder(model: str, device: str, setup: Setup) -> Diarizer:
    from sottovoce.engines.diarization.ge2e.diarizer import VoiceEncoderDiarizer

    del device  # it runs on the CPU
    folder = Shelf(setup.models).path(model)
    return VoiceEncoderDiarizer(folder, _offer("voice-encoder", model, setup), threads=setup.threads)


def _installed(package: str) -> bool:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.distribution(package) is not None
    return False


def _described(model: Model, setup: Setup, languages: frozenset[str]) -> Capabilities:
    """What every model from the shelf has in common: it punctuates, knows its confidence, and has a grade."""
    return Capabilities(
        engine=model.engine,
        model=model.name,
        languages=languages,
        punctuates=True,
        word_confidence=True,
        grade=model.grade,
        suits=model.suits,
        device=setup.kind_of_device,
    )


def _offer(name: str, model: str, setup: Setup) -> Capabilities:
    """The capabilities of *model*. Raises `EngineUnavailable` when it is not there (any more)."""
    for entry in ENGINES[name].offers(setup):
        if entry.model == model:
            return entry
    raise EngineUnavailable(f"the model {model} is not complete on this machine: {_pull(model)}", at=None)


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


def offered(setup: Setup, configured: str = "auto") -> tuple[Capabilities, ...]:
    """Capabilities of every engine and model that is present; for transcription only those that *configured* allows.

    Raises `EngineUnavailable` for a pinned model that nobody here has.
    """
    names = dict.fromkeys([*ENGINES, *([] if configured == "auto" else [configured])])
    # an operator's own engine is known to everybody by the name under which it can be imported again
    every = [replace(entry, engine=name) for name in names for entry in engine(name).offers(setup)]
    found = every if configured == "auto" else [each for entry in every for each in _allowed(entry, configured)]
    for point, model in setup.pinned.items():
        if model not in {entry.model for entry in found if Skill.TRANSCRIPTION in entry.skills}:
            fault = dict(Shelf(setup.models).faults()).get(model)
            state = f"cannot be used, {fault}" if fault else "is not present"
            raise EngineUnavailable(
                f"the model for {point}, {model}, {state}: {_pull(model)}, or unset the setting", at=None
            )
    return tuple(replace(entry, pinned=_pins(entry.model, setup)) for entry in found)


def _allowed(entry: Capabilities, configured: str) -> tuple[Capabilities, ...]:
    """*entry* with the skills that remain when only the engine *configured* may transcribe."""
    if entry.engine == configured:
        return (entry,)
    others = entry.skills - {Skill.TRANSCRIPTION}
    return (replace(entry, skills=others),) if others else ()


def _pins(model: str, setup: Setup) -> frozenset[OperatingPoint]:
    return frozenset(point for point, pinned in setup.pinned.items() if pinned == model)


def _pull(model: str) -> str:
    return f"run `sottovoce models pull {model}`"


def choose(language: str, point: OperatingPoint, offers: tuple[Capabilities, ...]) -> Choice:
    """The best of *offers* for *language* (or `auto`: one that identifies it) and *point*.

    Raises `EngineUnavailable` that says what is there and what to do about it.
    """
    offers = skilled(offers, Skill.TRANSCRIPTION)
    fitting = [entry for entry in offers if point in entry.operating_points and _knows(entry, language)]
    if not fitting:
        raise EngineUnavailable(refusal(language, offers))
    best = max(fitting, key=lambda entry: _preference(entry, point))
    known = _WHY.get(best.engine, f"{best.engine} {best.model}")
    reason = f"the model set for {point}" if point in best.pinned else f"best of {len(fitting)} present"
    why = f"{known}; {reason} for {language}/{point}"
    return Choice(engine=best.engine, model=best.model, device=best.device, why=why, capabilities=best)


def skilled(offers: Iterable[Capabilities], skill: Skill) -> tuple[Capabilities, ...]:
    """Those of *offers* that have *skill*."""
    return tuple(entry for entry in offers if skill in entry.skills)


def choose_aligner(language: str, offers: tuple[Capabilities, ...]) -> Choice:
    """The best aligner of *offers* for *language*. Raises `EngineUnavailable` that says what is there."""
    aligners = skilled(offers, Skill.ALIGNMENT)
    fitting = [entry for entry in aligners if language in entry.languages]
    if not fitting:
        known = ", ".join(sorted({code for entry in aligners for code in entry.languages})) or "none"
        why = f"language {language!r} cannot be aligned on this server (available: {known})"
        cure = "; the operator can add a CTC model of that language to the model folder"
        raise EngineUnavailable(why + cure, at="alignment_config.language")
    return _graded(fitting, f"aligner for {language}")


def choose_diarizer(offers: tuple[Capabilities, ...]) -> Choice | None:
    """The best diarizer of *offers*; None where there is none."""
    fitting = skilled(offers, Skill.DIARIZATION)
    return _graded(fitting, "diarizer") if fitting else None


def _graded(fitting: Sequence[Capabilities], what: str) -> Choice:
    best = max(fitting, key=lambda entry: entry.grade)
    why = f"{best.engine} {best.model}; best {what} of {len(fitting)} present"
    return Choice(engine=best.engine, model=best.model, device=best.device, why=why, capabilities=best)


def _knows(entry: Capabilities, language: str) -> bool:
    return entry.identifies_language if language == AUTO else language in entry.languages


def _preference(entry: Capabilities, point: OperatingPoint) -> tuple[bool, bool, bool, int]:
    """What the operator set, then no fallback; then for `enhanced` accuracy, and for `standard` a model of its cost.

    Where only costlier models are present, `standard` takes the smallest.
    """
    suits = point is OperatingPoint.ENHANCED or entry.suits in (None, point)
    grade = entry.grade if suits else -entry.grade
    return point in entry.pinned, entry.grade > 0, suits, grade


def refusal(language: str, offers: tuple[Capabilities, ...]) -> str:
    """Why *language* cannot be transcribed here, for the caller, and the command that would change it."""
    model = remedies.to_pull(language)
    if language == AUTO:
        what = "language identification is not available on this server; name the language"
        return f"{what}, or have the operator run {remedies.command(model)}" if model else what
    known = sorted({code for candidate in skilled(offers, Skill.TRANSCRIPTION) for code in candidate.languages})
    listed = ", ".join(known) if known else "none"
    what = f"language {language!r} is not available on this server (available: {listed})"
    return f"{what}; the operator can run {remedies.command(model)}" if model else what


def load(name: str, model: str, device: str, setup: Setup) -> Recognizer:
    """The loaded recogniser. Raises `EngineUnavailable` when it cannot be loaded, whatever its library raised."""
    return _loaded(engine(name).load, name, model, device, setup)


def load_aligner(name: str, model: str, device: str, setup: Setup) -> Aligner:
    """The loaded aligner. Raises `EngineUnavailable`."""
    return _loaded(engine(name).align, name, model, device, setup)


def load_diarizer(name: str, model: str, device: str, setup: Setup) -> Diarizer:
    """The loaded diarizer. Raises `EngineUnavailable`."""
    return _loaded(engine(name).diarize, name, model, device, setup)


def _loaded(loader: Callable[[str, str, Setup], T] | None, name: str, model: str, device: str, setup: Setup) -> T:
    if loader is None:
        raise EngineUnavailable(f"{name} is not an engine for this", at=None)
    try:
        return loader(model, device, setup)
    except EngineUnavailable:
        raise
    except Exception as error:
        raise EngineUnavailable(f"{name} {model} cannot be loaded: {type(error).__name__}: {error}", at=None) from error
