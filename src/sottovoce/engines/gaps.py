"""The stages of speech intelligence that a request asks for and this server cannot run for it, each with the true reason.

The transcript reports them in the contract's fixed words (§7.3); the job's log has the reason and the operator's next step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sottovoce.engines import registry, remedies
from sottovoce.engines.config import OFF
from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.engines.resolution import Resolved
from sottovoce.intelligence.stages import STAGES
from sottovoce.request import TranscriptionRequest

TRANSLATION = "translation"


class GapKind(StrEnum):
    """`language`: no backend supports the language. `absent`: there is no backend. `part`: the backend does a part of it."""

    LANGUAGE = "language"
    ABSENT = "absent"
    PART = "part"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGap:
    """The stage *stage* cannot run, or only in part; *why*: a line for the job's log."""

    stage: str
    kind: GapKind
    why: str


def gaps(
    request: TranscriptionRequest,
    resolved: Resolved,
    offers: tuple[Capabilities, ...],
    settings: Mapping[str, str],
) -> tuple[StageGap, ...]:
    """Return the gaps of *request*, for which *resolved* was chosen from *offers*. *settings*: `EngineConfig.stages`."""
    found = [gap for skill in _asked(request) if (gap := _gap(skill, request, resolved, offers, settings))]
    if request.translation_targets:
        why = "no translation backend is configured on this server: this release has none"
        found.append(StageGap(stage=TRANSLATION, kind=GapKind.LANGUAGE, why=why))
    return tuple(found)


def _asked(request: TranscriptionRequest) -> Iterator[Skill]:
    return (Skill(stage.name) for stage in STAGES if stage.asked(request))


def _gap(
    skill: Skill,
    request: TranscriptionRequest,
    resolved: Resolved,
    offers: tuple[Capabilities, ...],
    settings: Mapping[str, str],
) -> StageGap | None:
    choice = resolved.choices.get(skill)
    if choice is not None:
        return _part(request, choice.capabilities) if skill is Skill.AUDIO_EVENTS else None
    if settings.get(f"{skill}.{request.language}", settings.get(skill)) == OFF:
        return StageGap(
            stage=skill, kind=GapKind.ABSENT, why=f"switched off on this server (SOTTOVOCE_STAGES, {skill})"
        )
    here = registry.skilled(offers, skill)
    if here:
        codes = ", ".join(sorted({code for entry in here for code in entry.languages}))
        why = f"not supported for the language {request.language} on this server (supported: {codes})"
        return StageGap(stage=skill, kind=GapKind.LANGUAGE, why=why)
    return StageGap(stage=skill, kind=GapKind.ABSENT, why=f"not installed on this server: {remedies.of_stage(skill)}")


def _part(request: TranscriptionRequest, entry: Capabilities) -> StageGap | None:
    missing = sorted(frozenset(request.audio_events or ()) - entry.event_types)
    if not missing:
        return None
    found = ", ".join(sorted(entry.event_types))
    return StageGap(
        stage=Skill.AUDIO_EVENTS, kind=GapKind.PART, why=f"{', '.join(missing)}: not detected here (detected: {found})"
    )
