"""The stages of speech intelligence that a request asks for and this server cannot run for it, each with the true reason.

The transcript reports them in the contract's fixed words (§7.3); the job's log has the reason and the operator's next step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sottovoce.engines import registry, remedies
from sottovoce.engines.config import CHAT, OFF
from sottovoce.engines.protocols import Capabilities
from sottovoce.engines.resolution import Resolved
from sottovoce.intelligence.stages import STAGES, StageName
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.languages import AUTO


class GapKind(StrEnum):
    """`language`: no backend supports the language. `absent`: there is no backend. `part`: the backend does a part of it."""

    LANGUAGE = "language"
    ABSENT = "absent"
    PART = "part"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGap:
    """The stage *stage* cannot run, or only in part; *why*: a line for the job's log. *part*: the target of a translation."""

    stage: str
    kind: GapKind
    why: str
    part: str = ""


def gaps(
    request: TranscriptionRequest,
    resolved: Resolved,
    offers: tuple[Capabilities, ...],
    settings: Mapping[str, str],
) -> tuple[StageGap, ...]:
    """Return the gaps of *request*, for which *resolved* was chosen from *offers*. *settings*: `EngineConfig.stages`."""
    found = [gap for skill in _asked(request) if (gap := _gap(skill, request, resolved, offers, settings))]
    return (*found, *untranslated(request, offers, settings))


def untranslated(
    request: TranscriptionRequest, offers: tuple[Capabilities, ...], settings: Mapping[str, str]
) -> Iterator[StageGap]:
    """Yield a gap for each target into which no backend translates; none if the language is yet to be identified."""
    for target in request.translation_targets:
        if request.language in (AUTO, target):
            continue
        if registry.choose_stage(StageName.TRANSLATION, request.language, offers, target) is None:
            why = why_not(StageName.TRANSLATION, request.language, offers, settings, target)
            yield StageGap(stage=StageName.TRANSLATION, kind=GapKind.LANGUAGE, why=f"{target}: {why}", part=target)


def why_not(
    skill: StageName, language: str, offers: tuple[Capabilities, ...], settings: Mapping[str, str], target: str = ""
) -> str:
    """Return why none of *offers* has *skill* in *language* (and into *target*): language, not installed, or switched off."""
    if settings.get(f"{skill}.{language}", settings.get(skill)) == OFF:
        return f"switched off on this server (SOTTOVOCE_STAGES, {skill})"
    if settings.get(f"{skill}.{language}", settings.get(skill)) == CHAT and not registry.skilled(offers, skill):
        return "not configured: SOTTOVOCE_STAGES names chat, and SOTTOVOCE_CHAT_URL or SOTTOVOCE_CHAT_MODEL is not set"
    here = registry.skilled(offers, skill)
    if not here:
        return f"not installed on this server: {remedies.of_stage(skill)}"
    if target:
        known = ", ".join(targets_of(language, offers)) or "none"
        advice = remedies.of_stage(skill)
        return f"no backend here translates from {language} to {target} (from {language}: {known}); {advice}"
    codes = ", ".join(sorted({code for entry in here for code in entry.languages}))
    return f"not supported for the language {language} on this server (supported: {codes})"


def targets_of(language: str, offers: tuple[Capabilities, ...]) -> tuple[str, ...]:
    """Return the codes of the languages into which a backend of *offers* translates from *language*."""
    here = [entry for entry in registry.skilled(offers, StageName.TRANSLATION) if language in entry.languages]
    return tuple(sorted({target for entry in here for target in entry.targets} - {language}))


def _asked(request: TranscriptionRequest) -> Iterator[StageName]:
    return (StageName(stage.name) for stage in STAGES if stage.asked(request) and stage.name != StageName.TRANSLATION)


def _gap(
    skill: StageName,
    request: TranscriptionRequest,
    resolved: Resolved,
    offers: tuple[Capabilities, ...],
    settings: Mapping[str, str],
) -> StageGap | None:
    choice = resolved.choices.get(skill)
    if choice is not None:
        return _part(request, choice.capabilities) if skill is StageName.AUDIO_EVENTS else None
    off = settings.get(f"{skill}.{request.language}", settings.get(skill)) == OFF
    kind = GapKind.LANGUAGE if registry.skilled(offers, skill) and not off else GapKind.ABSENT
    return StageGap(stage=skill, kind=kind, why=why_not(skill, request.language, offers, settings))


def _part(request: TranscriptionRequest, entry: Capabilities) -> StageGap | None:
    missing = sorted(frozenset(request.audio_events or ()) - entry.event_types)
    if not missing:
        return None
    found = ", ".join(sorted(entry.event_types))
    return StageGap(
        stage=StageName.AUDIO_EVENTS,
        kind=GapKind.PART,
        why=f"{', '.join(missing)}: not detected here (detected: {found}); {remedies.EVENTS}",
    )
