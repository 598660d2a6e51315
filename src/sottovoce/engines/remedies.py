"""Chooses the model of the catalogue to pull for a language without a model, or for a folder that cannot be used.

Rejections at submit, `sottovoce doctor` and `sottovoce models list` all use this module, so they give the same advice.
"""

import importlib.util
from collections.abc import Iterable

from sottovoce.engines.models import known_files
from sottovoce.engines.models.catalogue import CATALOGUE, MOONSHINE, ONNX_ASR, WHISPER, Model
from sottovoce.engines.whisper import languages
from sottovoce.intelligence.stages import StageName
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import AUTO


def languages_of(model: Model) -> frozenset[str]:
    """The contract's codes that *model* can transcribe, known before it is loaded."""
    if model.engine == WHISPER:
        return languages.languages_of(model)
    return model.languages or frozenset() if model.engine in (ONNX_ASR, MOONSHINE) else frozenset()


def serves(model: Model, language: str) -> bool:
    """True if *model* can transcribe *language*; for `auto`, True if it can identify languages."""
    if language == AUTO:
        return model.engine == WHISPER and model.languages is None
    return language in languages_of(model)


def to_pull(language: str) -> Model | None:
    """The recommended model for *language* (or `auto`); None if no model of the catalogue supports it.

    Models in the package index come first, then those that need no further package, then multilingual ones, then smaller
    ones.
    """
    candidates = [model for model in CATALOGUE.values() if serves(model, language)]
    return min(candidates, key=_effort, default=None)


def _effort(model: Model) -> tuple[bool, bool, bool, int]:
    return not known_files.wheels_of(model), model.engine != WHISPER, model.languages is not None, model.size


def better(language: str, grade: int) -> tuple[Model, ...]:
    """Models for *language* with a grade above *grade*, that of the present model, sorted by grade.

    They are the recommended one (`to_pull`; else the smallest) and the best for each operating point.
    """
    above = [model for model in CATALOGUE.values() if serves(model, language) and model.grade > grade]
    if not above:
        return ()
    first = to_pull(language)
    chosen = [first if first in above else min(above, key=_size)]
    for point in OperatingPoint:
        chosen += sorted((model for model in above if model.suits is point), key=_grade)[-1:]
    return tuple(sorted({model.name: model for model in chosen if model}.values(), key=_grade))


def _size(model: Model) -> int:
    return model.size


def _grade(model: Model) -> int:
    return model.grade


def lacks_package(model: Model) -> bool:
    """True if *model* needs onnx-asr, and it is not installed."""
    return model.engine == ONNX_ASR and importlib.util.find_spec("onnx_asr") is None


def command(model: Model) -> str:
    """The shell commands that install *model* and, if it is missing, its package."""
    extra = " after `pip install 'sottovoce[onnx-asr]'`" if lacks_package(model) else ""
    return f"`sottovoce models pull {model.name}`{extra}"


_STAGES = {
    StageName.TRANSLATION: "the operator can name a model by SOTTOVOCE_TRANSLATION_MODELS, install a pair of Apertium (for "
    "English and Spanish `apt-get install apertium-eng-spa`), or set SOTTOVOCE_STAGES=translation=chat (docs/intelligence.md)",
    StageName.TOPICS: "the operator can run `sottovoce models pull minilm`",
    StageName.CHAPTERS: "the operator can run `sottovoce models pull minilm`",
    StageName.SENTIMENT: "the operator can run `pip install vaderSentiment`",
}


EVENTS = "the operator can name a model by SOTTOVOCE_AUDIO_TAGGER"
"""The advice for audio events that no engine here detects."""


def of_stage(skill: StageName) -> str:
    """The advice for a stage of speech intelligence without a backend."""
    return _STAGES.get(skill, "this release has no backend for it")


def of_fault(name: str) -> str:
    """The advice for the folder *name*, which holds a model that cannot be used."""
    if name in CATALOGUE:
        return f"run {command(CATALOGUE[name])}, or rename the folder if the model is your own"
    return f"copy the folder again, or run `sottovoce models remove {name}`"


def of_changed(name: str) -> str:
    """The advice for the model *name*, in which `verify` found changed, missing or extra files."""
    back = f"then {command(CATALOGUE[name])}" if name in CATALOGUE else "then import it again"
    return f"run `sottovoce models remove {name}`, {back}"


def by_model(languages: Iterable[str]) -> dict[str, list[str]]:
    """*languages* grouped by the name of the recommended model; unsupported languages under the empty name."""
    found: dict[str, list[str]] = {}
    for language in languages:
        model = to_pull(language)
        found.setdefault(model.name if model else "", []).append(language)
    return found
