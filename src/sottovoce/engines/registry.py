"""Registry of engines: chooses the engine and model for a language and operating point, and loads it.

The same table decides which jobs are rejected at submit, what discovery lists, and what `doctor` reports.

Parts, in order: `Choice`; the table `ENGINES`; listing offers; choosing a recogniser, aligner or diarizer; refusals; loading.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sottovoce.engines import remedies
from sottovoce.engines.analysis.registration import ENGINE as ANALYSIS
from sottovoce.engines.apertium.registration import ENGINE as APERTIUM
from sottovoce.engines.audioset.registration import ENGINE as AUDIOSET
from sottovoce.engines.chat.registration import ENGINE as CHAT_ENGINE
from sottovoce.engines.config import BUILTIN, CHAT, EngineConfig
from sottovoce.engines.ctc.registration import ENGINE as CTC
from sottovoce.engines.diarization.gaussian.registration import ENGINE as GAUSSIAN
from sottovoce.engines.diarization.ge2e.registration import ENGINE as VOICE_ENCODER
from sottovoce.engines.engine import Engine, EngineKey
from sottovoce.engines.marian.registration import ENGINE as MARIAN
from sottovoce.engines.minilm.registration import ENGINE as MINILM
from sottovoce.engines.models.offers import pull_command
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.moonshine.registration import ENGINE as MOONSHINE
from sottovoce.engines.onnx_asr.registration import ENGINE as ONNX_ASR
from sottovoce.engines.pocketsphinx.registration import ENGINE as POCKETSPHINX
from sottovoce.engines.protocols import AnySkill, Capabilities, Skill
from sottovoce.engines.whisper.registration import ENGINE as WHISPER
from sottovoce.errors import EngineUnavailable
from sottovoce.intelligence.stages import StageName
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import AUTO

__all__ = [
    "ENGINES",
    "Choice",
    "Engine",
    "choose",
    "choose_aligner",
    "choose_diarizer",
    "choose_stage",
    "choose_translator",
    "engine",
    "load",
    "offered",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The engine and model chosen for one language and operating point; *why* is the reason, for the job's log."""

    engine: str
    model: str
    device: str
    why: str
    capabilities: Capabilities

    @property
    def key(self) -> EngineKey:
        """The key of a child process that has loaded this engine."""
        return EngineKey(engine=self.engine, model=self.model, device=self.device)


ENGINES: Mapping[str, Engine] = {
    entry.name: entry
    for entry in (
        WHISPER,
        ONNX_ASR,
        MOONSHINE,
        POCKETSPHINX,
        CTC,
        VOICE_ENCODER,
        GAUSSIAN,
        MINILM,
        ANALYSIS,
        AUDIOSET,
        MARIAN,
        APERTIUM,
        CHAT_ENGINE,
    )
}
"""Every engine that this release has an adapter for."""

STAGE_SKILLS: frozenset[AnySkill] = frozenset(StageName)
"""The skills of the stages of speech intelligence."""

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
        raise EngineUnavailable(f"{name} is not an instance of sottovoce.engines.engine.Engine", at=None)
    return found


def offered(engine_config: EngineConfig, configured: str = "auto") -> tuple[Capabilities, ...]:
    """Capabilities of every engine and model on this machine; *configured* limits the engine for transcription.

    *configured*: `auto`, or the name of the only engine that may transcribe. Raises `EngineUnavailable` for a pinned model
    that is absent or cannot be used.
    """
    names = dict.fromkeys([*ENGINES, *([] if configured == "auto" else [configured])])
    # The operator's own engine is listed under its import name, so that every process can import it again.
    every = [_loadable(replace(entry, engine=name)) for name in names for entry in engine(name).offers(engine_config)]
    found = every if configured == "auto" else [each for entry in every for each in _allowed(entry, configured)]
    for point, model in engine_config.pinned.items():
        if model not in {entry.model for entry in found if Skill.TRANSCRIPTION in entry.skills}:
            fault = dict(ModelStore(engine_config.models).faults()).get(model)
            state = f"cannot be used, {fault}" if fault else "is not present"
            raise EngineUnavailable(
                f"the model for {point}, {model}, {state}: {pull_command(model)}, or unset the setting", at=None
            )
    found = [each for entry in found for each in _enabled(entry, engine_config)]
    return tuple(replace(entry, pinned=_pins(entry.model, engine_config)) for entry in found)


def _loadable(entry: Capabilities) -> Capabilities:
    """*entry* without the skills for which its engine has no loader."""
    known = engine(entry.engine)
    return replace(entry, skills=frozenset(skill for skill in entry.skills if known.loader(skill) is not None))


def _allowed(entry: Capabilities, configured: str) -> tuple[Capabilities, ...]:
    """*entry* without transcription unless it is of the engine *configured*; empty if no skill remains."""
    if entry.engine == configured:
        return (entry,)
    others = entry.skills - {Skill.TRANSCRIPTION, Skill.LIVE, Skill.SPEECH_TRANSLATION}
    return (replace(entry, skills=others),) if others else ()


def _enabled(entry: Capabilities, engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    """*entry* without the stages of speech intelligence, and their languages, that the operator has given to another
    backend or switched off. A stage that depends on the language has an entry of its own.
    """
    stages = entry.skills & STAGE_SKILLS
    wanted = CHAT if entry.engine == CHAT else BUILTIN
    if not entry.languages:
        off = {skill for skill in stages if engine_config.backend(skill) != wanted}
        return (replace(entry, skills=entry.skills - off),) if off < entry.skills else ()
    kept = frozenset(
        code for code in entry.languages if all(engine_config.backend(skill, code) == wanted for skill in stages)
    )
    return (replace(entry, languages=kept),) if kept else ()


def _pins(model: str, engine_config: EngineConfig) -> frozenset[OperatingPoint]:
    return frozenset(point for point, pinned in engine_config.pinned.items() if pinned == model)


def choose(
    language: str, point: OperatingPoint, offers: tuple[Capabilities, ...], skill: Skill = Skill.TRANSCRIPTION
) -> Choice:
    """The best of *offers* for *language* (`auto`: one that identifies the language) and *point*; *skill*: or for live audio.

    Raises `EngineUnavailable` with the available languages and the command that adds this one.
    """
    offers = skilled(offers, skill)
    fitting = [entry for entry in offers if point in entry.operating_points and _supports(entry, language)]
    if not fitting:
        raise EngineUnavailable(refusal(language, offers))
    best = max(fitting, key=lambda entry: _preference(entry, point))
    known = _DESCRIPTIONS.get(best.engine, f"{best.engine} {best.model}")
    reason = f"the model set for {point}" if point in best.pinned else f"best of {len(fitting)} present"
    why = f"{known}; {reason} for {language}/{point}"
    return Choice(engine=best.engine, model=best.model, device=best.device, why=why, capabilities=best)


def skilled(offers: Iterable[Capabilities], skill: AnySkill) -> tuple[Capabilities, ...]:
    """Those of *offers* that have *skill*."""
    return tuple(entry for entry in offers if skill in entry.skills)


def choices(entries: Iterable[Capabilities], why: str) -> tuple[Choice, ...]:
    """Each of *entries* as a choice, for the reason *why*."""
    return tuple(
        Choice(engine=entry.engine, model=entry.model, device=entry.device, why=why, capabilities=entry)
        for entry in entries
    )


def choose_translator(language: str, point: OperatingPoint, offers: tuple[Capabilities, ...]) -> Choice:
    """The best of *offers* that turns speech in *language* (`auto`: any) into English text.

    Raises `EngineUnavailable` with the command that adds such a model.
    """
    translators = skilled(offers, Skill.SPEECH_TRANSLATION)
    if not translators:
        why = "no model on this server translates speech into English; a multilingual Whisper model does"
        model = remedies.to_pull(AUTO)
        cure = f", the operator can run {remedies.command(model)}" if model else ""
        raise EngineUnavailable(why + cure, at="model")
    return choose(language, point, translators, Skill.SPEECH_TRANSLATION)


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


def choose_diarizer(offers: tuple[Capabilities, ...], skill: Skill = Skill.DIARIZATION) -> Choice | None:
    """The best diarizer of *offers*; None if there is none. *skill*: or for live audio."""
    fitting = skilled(offers, skill)
    return _graded(fitting, "diarizer") if fitting else None


def choose_stage(skill: StageName, language: str, offers: tuple[Capabilities, ...], target: str = "") -> Choice | None:
    """The best engine of *offers* for a stage of speech intelligence; None if none supports *language*.

    With `auto`, the one for most languages: the language is known only when the stage runs. *target*: of a translation.
    """
    every = tuple(entry for entry in skilled(offers, skill) if not target or target in entry.targets)
    if language == AUTO:
        return (
            _graded(sorted(every, key=lambda entry: (-len(entry.languages), -entry.grade))[:1], skill)
            if every
            else None
        )
    fitting = [entry for entry in every if not entry.languages or language in entry.languages]
    return _graded(fitting, f"{skill} for {language}") if fitting else None


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


def load(skill: AnySkill, key: EngineKey, engine_config: EngineConfig) -> Any:
    """Return the loaded engine *key* for *skill*: the protocol of that skill (`engines/protocols.py`).

    Raises `EngineUnavailable` for any failure to load it, and for an engine without that skill.
    """
    loader = engine(key.engine).loader(skill)
    if loader is None:
        raise EngineUnavailable(f"the engine {key.engine} does not have the skill {skill}", at=None)
    try:
        return loader(key.model, key.device, engine_config)
    except EngineUnavailable:
        raise
    except Exception as error:
        why = f"{key.engine} {key.model} cannot be loaded: {type(error).__name__}: {error}"
        raise EngineUnavailable(why, at=None) from error
