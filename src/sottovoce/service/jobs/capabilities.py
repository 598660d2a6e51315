"""What this server can do, which requests it rejects at submission, and which missing features it reports in the transcript.

A stage of speech intelligence that has an error list in the transcript (contract §7.3) is accepted, and the transcript reports
there that it is missing (`engines/gaps.py`). Any other unsupported feature is rejected at submission.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from sottovoce.engines import registry
from sottovoce.engines.domains import Domain
from sottovoce.engines.gaps import StageGap, gaps, targets_of, untranslated
from sottovoce.engines.protocols import AnySkill, Capabilities, Skill
from sottovoce.engines.registry import Choice
from sottovoce.engines.resolution import Resolved, resolve
from sottovoce.errors import Kind, Refused
from sottovoce.intelligence.stages import STAGES, StageName
from sottovoce.pipeline import identification, script
from sottovoce.request import AlignmentRequest, LiveRequest, Request, TranscriptionRequest
from sottovoce.transcript import spelling
from sottovoce.transcript.languages import AUTO

R = TypeVar("R", Request, LiveRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A feature of a request: the test *asked* if the request uses it, its JSON path *at*, and its *name* in the error message."""

    asked: Callable[[TranscriptionRequest], bool]
    at: str
    name: str


def spells(locale: str | None) -> bool:
    """True if this server supports the output locale *locale*: three of English, and both scripts of Mandarin."""
    return locale in {None, *spelling.LOCALES, *script.LOCALES}


RECOGNITION = frozenset({Skill.TRANSCRIPTION, Skill.SPEECH_TRANSLATION, Skill.LIVE})
"""The skills of which a request needs one: words of the spoken language, or English words."""


# only a diarizer that makes voice prints supports these
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


def _check_identification(request: TranscriptionRequest, transcribable: frozenset[str]) -> None:
    """Raise `Refused` for an expected or default language that this server cannot return (contract §6.6)."""
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
    """The capabilities of the region's engines, best first. An API process reads them from the rows of the workers."""

    def __init__(
        self,
        engines: tuple[Capabilities, ...],
        domains: Mapping[str, Domain] | None = None,
        stages: Mapping[str, str] | None = None,
    ) -> None:
        self.engines = engines
        self.stages = stages or {}
        self.domains = domains or {}

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes of the languages that an engine transcribes."""
        return _languages(self.engines, Skill.TRANSCRIPTION)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models that transcribe, the best ones first."""
        found = sorted(registry.skilled(self.engines, Skill.TRANSCRIPTION), key=lambda entry: -entry.grade)
        return tuple(dict.fromkeys(map(_name, found)))

    def spoken(self, model: str | None, *, translate: bool) -> tuple[tuple[str, ...], bool]:
        """The codes of the languages that *model* (or any) transcribes or, with *translate*, translates; and whether it
        identifies the language.
        """
        skill = Skill.SPEECH_TRANSLATION if translate else Skill.TRANSCRIPTION
        found = [entry for entry in registry.skilled(self.engines, skill) if model is None or _named(entry, model)]
        codes = tuple(sorted({code for entry in found for code in entry.languages}))
        return codes, any(entry.identifies_language for entry in found)

    @property
    def live(self) -> tuple[Capabilities, ...]:
        """The engines for realtime sessions."""
        return registry.skilled(self.engines, Skill.LIVE)

    @property
    def aligned(self) -> tuple[str, ...]:
        """The codes of the languages that an engine aligns."""
        return _languages(self.engines, Skill.ALIGNMENT)

    @property
    def diarizer(self) -> Choice | None:
        """The engine for speaker diarization, if there is one."""
        return registry.choose_diarizer(self.engines)

    @property
    def live_diarizer(self) -> Choice | None:
        """The engine for speaker diarization of realtime sessions, if there is one."""
        return registry.choose_diarizer(self.engines, Skill.LIVE_DIARIZATION)

    def check(self, request: Request) -> Choice:
        """Choose the engine for *request*. Raises `Refused`, naming the field that no engine supports."""
        if not self.engines:
            raise Refused(Kind.UNAVAILABLE, "no worker has registered yet; try again later")
        if not isinstance(request, AlignmentRequest):
            self._check_domain(request)
        choice = self.resolve(request).main
        if isinstance(request, AlignmentRequest):
            return choice
        _check_identification(request, choice.capabilities.languages)
        diarizer = self.diarizer
        identifies = diarizer is not None and diarizer.capabilities.voiceprints is not None
        self._check_events(request)
        self._check_translation(request)
        for feature in () if identifies else IDENTIFICATION:
            if feature.asked(request):
                raise Refused(Kind.INVALID_CONFIG, f"{feature.name} is not available on this server", at=feature.at)
        return choice

    def _check_events(self, request: TranscriptionRequest) -> None:
        """Raise `Refused` for audio events that no engine here detects: the transcript has no error list for them (§7.3)."""
        if request.audio_events is None:
            return
        found = sorted(
            {kind for entry in registry.skilled(self.engines, StageName.AUDIO_EVENTS) for kind in entry.event_types}
        )
        if not found:
            why = "audio event detection is not available on this server"
            raise Refused(Kind.INVALID_CONFIG, why, at="audio_events_config")
        if request.audio_events and not set(request.audio_events) & set(found):
            asked = " and ".join(request.audio_events)
            why = f"{asked} cannot be detected on this server (detected: {', '.join(found)})"
            raise Refused(Kind.INVALID_CONFIG, why, at="audio_events_config.types")

    def _check_translation(self, request: TranscriptionRequest) -> None:
        """Raise `Refused` for a target into which no engine here translates; with `auto` the stage reports it (§6.8)."""
        for gap in untranslated(request, self.engines, self.stages):
            pair = f"Translation from {request.language} to {gap.part} currently not supported"
            raise Refused(Kind.INVALID_CONFIG, f"{pair} ({gap.why})", at="translation_config.target_languages")

    def translated(self) -> dict[str, list[str]]:
        """The target languages by source language, for discovery."""
        sources = _languages(self.engines, StageName.TRANSLATION)
        found = {source: list(targets_of(source, self.engines)) for source in sources}
        return {source: targets for source, targets in found.items() if targets}

    def stages_of(self) -> dict[str, tuple[str, ...]]:
        """The languages of the stages of speech intelligence but translation, and the types of audio events, for discovery.

        The keys are the names of the stages' error lists, and `audio_events`; stages without a backend are left out.
        """
        found: dict[str, tuple[str, ...]] = {}
        for stage in STAGES:
            here = registry.skilled(self.engines, StageName(stage.name))
            if here and stage.name == StageName.AUDIO_EVENTS:
                found[stage.name] = tuple(sorted({kind for entry in here for kind in entry.event_types}))
            elif here and stage.name != StageName.TRANSLATION:
                found[stage.feature or stage.name] = _languages(here, StageName(stage.name))
        return found

    def gaps(self, request: TranscriptionRequest, resolved: Resolved) -> tuple[StageGap, ...]:
        """The stages of speech intelligence that *request* asks for and this server cannot run, with the reasons."""
        return gaps(request, resolved, self.engines, self.stages)

    def resolve(self, request: Request) -> Resolved:
        """The best engine for each skill that *request* needs. Raises `EngineUnavailable`."""
        return resolve(request, self._suitable(request))

    def resolve_live(self, request: LiveRequest) -> Choice:
        """The engine of a realtime session. Raises `Refused`, naming the field that no engine here supports."""
        if not self.live:
            raise Refused(Kind.UNAVAILABLE, "no engine for realtime sessions runs on this server at the moment")
        self._check_domain(request)
        offers = self._suitable(request)
        choice = registry.choose(request.language, request.operating_point, offers, Skill.LIVE)
        if not spells(request.output_locale):
            at = "transcription_config.output_locale"
            raise Refused(Kind.INVALID_CONFIG, "this spelling is not available on this server", at=at)
        return choice

    def smaller_live(self, request: LiveRequest, best: Choice) -> tuple[Choice, ...]:
        """Engines for a session for which there is no room with *best*, the better ones first: made for its language alone.

        None if the operator chose *best*, for the operating point or the domain.
        """
        if request.operating_point in best.capabilities.pinned or request.domain is not None:
            return ()
        fitting = (
            entry
            for entry in self.live
            if 0 < entry.grade < best.capabilities.grade
            and entry.languages == {request.language}
            and request.operating_point in entry.operating_points
        )
        return registry.choices(sorted(fitting, key=lambda entry: -entry.grade), f"smaller than {best.model}")

    def domains_of(self, language: str, skill: Skill = Skill.TRANSCRIPTION) -> tuple[str, ...]:
        """The domains that a request in *language* may ask for; *skill*: of jobs, or of realtime sessions."""
        return tuple(
            name
            for name, domain in sorted(self.domains.items())
            if any(language in entry.languages for entry in self._of_domain(domain, skill))
        )

    def prepared(self, request: R) -> R:
        """*request* with the vocabulary of its domain."""
        if isinstance(request, AlignmentRequest) or request.domain is None:
            return request
        domain = self.domains.get(request.domain)
        return request if domain is None else domain.prepared(request)

    def _suitable(self, request: Request | LiveRequest) -> tuple[Capabilities, ...]:
        """The engines, without the skills of recognition where *request* or its domain names another engine or model."""
        if isinstance(request, AlignmentRequest):
            return self.engines
        domain = self.domains.get(request.domain or "")
        model = None if isinstance(request, LiveRequest) else request.model
        return tuple(
            entry
            if (domain is None or _is_of(entry, domain)) and (model is None or _named(entry, model))
            else replace(entry, skills=entry.skills - RECOGNITION)
            for entry in self.engines
        )

    def _check_domain(self, request: TranscriptionRequest | LiveRequest) -> None:
        """Raise `Refused` for a domain that is not set up, or whose engine or model is not present."""
        if request.domain is None:
            return
        at = "transcription_config.domain"
        if request.domain not in self.domains:
            known = ", ".join(sorted(self.domains)) or "none"
            why = f"the domain {request.domain!r} is not installed on this server (installed: {known})"
            raise Refused(Kind.INVALID_CONFIG, why, at=at)
        skill = Skill.LIVE if isinstance(request, LiveRequest) else Skill.TRANSCRIPTION
        if not self._of_domain(self.domains[request.domain], skill):
            why = f"the engine or model of the domain {request.domain!r} is not present on this server; leave out the domain"
            raise Refused(Kind.INVALID_CONFIG, why, at=at)

    def _of_domain(self, domain: Domain, skill: Skill) -> tuple[Capabilities, ...]:
        return tuple(entry for entry in registry.skilled(self.engines, skill) if _is_of(entry, domain))


def _name(entry: Capabilities) -> str:
    """The name by which a request asks for the model of *entry*: that of the model, if it says what it is."""
    return entry.engine if entry.engine == "pocketsphinx" else entry.model or entry.engine


def _named(entry: Capabilities, model: str) -> bool:
    return model == _name(entry)


def _is_of(entry: Capabilities, domain: Domain) -> bool:
    return domain.engine in {None, entry.engine} and domain.model in {None, entry.model}


def without_live(engines: tuple[Capabilities, ...]) -> tuple[Capabilities, ...]:
    """*engines* as a process without realtime sessions uses them."""
    live = {Skill.LIVE, Skill.LIVE_DIARIZATION}
    return tuple(replace(engine, skills=engine.skills - live) for engine in engines)


def _languages(engines: tuple[Capabilities, ...], skill: AnySkill) -> tuple[str, ...]:
    return tuple(sorted({code for engine in registry.skilled(engines, skill) for code in engine.languages}))
