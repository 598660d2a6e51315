"""The one capability table: what this server can do, what it refuses at submit, and what it answers in the transcript.

A feature without an error list of its own is refused when nobody covers it; one that has such a list (contract §7.3) is accepted
and answered there, as the contract has it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sottovoce.engines import registry
from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.engines.registry import Choice
from sottovoce.errors import Kind, Refused
from sottovoce.pipeline import identification, script
from sottovoce.pipeline.batch import LANGUAGE
from sottovoce.request import AlignmentRequest, Request, TranscriptionRequest
from sottovoce.transcript.languages import AUTO
from sottovoce.transcript.model import StageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Something a request may ask for: how to see it, where it stands, and what it is called in a refusal."""

    asked: Callable[[TranscriptionRequest], bool]
    at: str
    name: str


def spells(locale: str | None) -> bool:
    """Whether this server writes as *locale* does: English as Americans do, Mandarin in both kinds of characters."""
    return locale in {None, "en-US", *script.LOCALES}


def _foreign_locale(request: TranscriptionRequest) -> bool:
    return not spells(request.output_locale)


# Nothing here can do these yet; a line leaves when something can.
UNSUPPORTED_FEATURES: tuple[Feature, ...] = (
    Feature(asked=lambda r: r.domain is not None, at="transcription_config.domain", name="a domain model"),
    Feature(asked=_foreign_locale, at="transcription_config.output_locale", name="this spelling"),
    Feature(asked=lambda r: r.audio_events is not None, at="audio_events_config", name="audio event detection"),
)


# these a diarizer with voice prints can do
IDENTIFICATION: tuple[Feature, ...] = (
    Feature(
        asked=lambda r: r.speaker_diarization.get_speakers,
        at="transcription_config.speaker_diarization_config.get_speakers",
        name="speaker identification",
    ),
    Feature(
        asked=lambda r: bool(r.speaker_diarization.speakers),
        at="transcription_config.speaker_diarization_config.speakers",
        name="speaker identification",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredInTranscript:
    """A feature whose absence is told in the transcript: the wire's list, and the entry to put there."""

    asked: Callable[[TranscriptionRequest], bool]
    feature: str
    type: str
    message: str  # `LANGUAGE` stands for the language


# contract §7.3: types and messages
ANSWERED: tuple[AnsweredInTranscript, ...] = (
    AnsweredInTranscript(
        asked=lambda r: r.summarization is not None,
        feature="summarization",
        type="unsupported_language",
        message=f"Summarization not supported for {LANGUAGE}.",
    ),
    AnsweredInTranscript(
        asked=lambda r: r.sentiment_analysis,
        feature="sentiment_analysis",
        type="unsupported_language",
        message=f"Sentiment analysis not supported for {LANGUAGE}.",
    ),
    AnsweredInTranscript(
        asked=lambda r: r.topics is not None,
        feature="topic_detection",
        type="unsupported_language",
        message=f"Topic Detection not supported for {LANGUAGE}.",
    ),
    AnsweredInTranscript(
        asked=lambda r: r.auto_chapters,
        feature="auto_chapters",
        type="unsupported_language",
        message=f"Auto chapters not supported for {LANGUAGE}.",
    ),
)


def missing(request: TranscriptionRequest) -> tuple[StageError, ...]:
    """What the transcript has to say about features that were asked for and that nobody here covers."""
    errors = [
        StageError(
            feature="translation",
            type="unsupported_translation_pair",
            message=f"Translation from {LANGUAGE} to {target} currently not supported",
        )
        for target in request.translation_targets
    ]
    errors += [
        StageError(feature=entry.feature, type=entry.type, message=entry.message)
        for entry in ANSWERED
        if entry.asked(request)
    ]
    return tuple(errors)


def _check_identification(request: TranscriptionRequest, transcribable: frozenset[str]) -> None:
    """Raise `Refused` for a language that could never be the answer (contract §6.6)."""
    wanted = request.language_identification
    if request.language != AUTO or wanted is None:
        return
    for code in wanted.expected_languages:
        if code not in transcribable - identification.UNSUPPORTED:
            why = f"language {code!r} cannot be identified on this server"
            raise Refused(Kind.INVALID_CONFIG, why, at="language_identification_config.expected_languages")
    if wanted.default_language is not None and wanted.default_language not in transcribable:
        why = f"language {wanted.default_language!r} is not available on this server"
        raise Refused(Kind.INVALID_CONFIG, why, at="language_identification_config.default_language")


class CapabilityTable:
    """What the engines of this region's workers can do, best first; an API process learns it from the workers' rows."""

    def __init__(self, engines: tuple[Capabilities, ...]) -> None:
        self.engines = engines

    @property
    def languages(self) -> tuple[str, ...]:
        """Every language code that somebody here transcribes."""
        return _languages(self.engines, Skill.TRANSCRIPTION)

    @property
    def aligned(self) -> tuple[str, ...]:
        """Every language code whose texts somebody here aligns."""
        return _languages(self.engines, Skill.ALIGNMENT)

    @property
    def diarizer(self) -> Choice | None:
        """Who tells speakers apart here."""
        return registry.choose_diarizer(self.engines)

    def check(self, request: Request) -> Choice:
        """The engine for *request*. Raises `Refused` that names the field which nobody here can honour."""
        if not self.engines:
            raise Refused(Kind.UNAVAILABLE, "no worker has been seen yet; try again")
        choice = self.choose(request)
        if isinstance(request, AlignmentRequest):
            return choice
        _check_identification(request, choice.capabilities.languages)
        diarizer = self.diarizer
        identifies = diarizer is not None and diarizer.capabilities.voiceprints is not None
        for feature in UNSUPPORTED_FEATURES if identifies else UNSUPPORTED_FEATURES + IDENTIFICATION:
            if feature.asked(request):
                raise Refused(Kind.INVALID_CONFIG, f"{feature.name} is not available on this server", at=feature.at)
        return choice

    def choose(self, request: Request) -> Choice:
        """The best engine for the request's language (or to identify it) and operating point. Raises `EngineUnavailable`."""
        if isinstance(request, AlignmentRequest):
            return registry.choose_aligner(request.language, self.engines)
        return registry.choose(request.language, request.operating_point, self.engines)


def _languages(engines: tuple[Capabilities, ...], skill: Skill) -> tuple[str, ...]:
    return tuple(sorted({code for engine in registry.skilled(engines, skill) for code in engine.languages}))
