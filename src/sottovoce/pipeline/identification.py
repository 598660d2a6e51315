"""Language identification, and the decision when it is uncertain or fails.

Rules and messages: contract `batch-v2.md` §6.6, §7.3 and the table of rejections in §4.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sottovoce.engines.protocols import LanguageIdentifier, Speech
from sottovoce.errors import EngineFailed, LanguageRejected
from sottovoce.request import LanguageIdentification
from sottovoce.transcript.model import RATE, Identification, LanguageScore, Samples

LISTENED: Samples = 120 * RATE
"""Speech that is used: 120 s. The contract advises a minute; two tolerate an opening in another language."""

CONFIDENT = 0.5
"""Least probability of an identified language: more than all others together."""

TOP = 10
"""Number of alternatives in the result."""

UNSUPPORTED = frozenset({"bn", "yue", "eo", "ia", "ga", "mt", "tl", "ur", "ug", "sw"})
"""Languages that the contract never identifies (§6.6)."""
ONLY_EXPECTED = frozenset({"cy"})
"""Languages that are accepted only if the caller expects them (§6.6)."""

NO_SPEECH = "No speech found for language identification"
LOW_CONFIDENCE = "Language identification could not identify any language with sufficient confidence"
FAILED = "Language identification failed"


def beginning(speech: Iterable[Speech]) -> list[Speech]:
    """Return the stretches of *speech* until they have `LISTENED` samples in all; all of it if there is less."""
    heard: list[Speech] = []
    total = 0
    for stretch in speech:
        heard.append(stretch)
        total += len(stretch.audio)
        if total >= LISTENED:
            break
    return heard


def identify(speech: Sequence[Speech], engine: LanguageIdentifier) -> Identification:
    """Return the languages that *engine* finds in *speech*. Raises `EngineFailed` if the engine crashes."""
    if not speech:
        return Identification(alternatives=(), start=0, end=0)
    try:
        scores = engine.identify(speech)
    except Exception as error:
        raise EngineFailed(FAILED) from error
    ordered = sorted(scores, key=lambda score: -score.confidence)[:TOP]
    return Identification(alternatives=tuple(ordered), start=speech[0].start, end=speech[-1].end)


def decide(
    found: Identification, wanted: LanguageIdentification, transcribable: frozenset[str]
) -> tuple[str, Identification]:
    """Return the language for the transcript, and *found*, with an error if the job continues despite low confidence.

    Raises `LanguageRejected` with the contract's messages.
    """
    if wanted.low_confidence_action == "guess":
        return _guessed(found, wanted, transcribable), found
    default = wanted.default_language if wanted.low_confidence_action == "use_default_language" else None
    if not found.alternatives:
        if default is None:
            raise LanguageRejected(NO_SPEECH)
        return default, replace(found, error="NO_SPEECH", message=NO_SPEECH)
    best = found.alternatives[0]
    if best.confidence < CONFIDENT:
        return _unsure(found, best, wanted, default, transcribable)
    _check(best.language, wanted.expected_languages, transcribable)
    return best.language, found


def _guessed(found: Identification, wanted: LanguageIdentification, transcribable: frozenset[str]) -> str:
    """Return the likeliest language that the caller expects and the server can transcribe, else the default one."""
    allowed = transcribable - UNSUPPORTED
    if wanted.expected_languages:
        allowed &= frozenset(wanted.expected_languages)
    likely = (score.language for score in found.alternatives if score.language in allowed)
    language = next(likely, wanted.default_language)
    if language is None:
        raise LanguageRejected(NO_SPEECH)
    return language


def _unsure(
    found: Identification,
    best: LanguageScore,
    wanted: LanguageIdentification,
    default: str | None,
    transcribable: frozenset[str],
) -> tuple[str, Identification]:
    if wanted.low_confidence_action == "reject":
        raise LanguageRejected(LOW_CONFIDENCE)
    language = default
    if language is None:
        _check(best.language, wanted.expected_languages, transcribable)
        language = best.language
    # with a full stop here, unlike in a rejection (§7.3)
    return language, replace(found, error="LOW_CONFIDENCE", message=f"{LOW_CONFIDENCE}.")


def _check(language: str, expected: tuple[str, ...], transcribable: frozenset[str]) -> None:
    """Raise `LanguageRejected` for a language that the caller does not expect, or that cannot be transcribed here."""
    if expected and language not in expected:
        raise LanguageRejected(f"The identified language '{language}' is not one of the expected languages")
    if language not in transcribable or language in UNSUPPORTED | (ONLY_EXPECTED - set(expected)):
        raise LanguageRejected(f"The identified language '{language}' is not supported for transcription")
