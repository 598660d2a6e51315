"""The engines that a request needs: one `Choice` for each `Skill`, resolved once and passed on as one map.

A new kind of work adds an entry to `NEEDS`; nothing between submission and the engine process changes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sottovoce.engines import registry
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import AnySkill, Capabilities, Skill
from sottovoce.engines.registry import Choice
from sottovoce.intelligence.stages import STAGES, StageName
from sottovoce.request import AlignmentRequest, Diarization, LiveRequest, Request, TranscriptionRequest

AnyRequest = Request | LiveRequest
Offers = tuple[Capabilities, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A skill that a request may need: the test *asked*, and *choose*, which returns None if the job can do without it.

    *choose* raises `EngineUnavailable` if the job cannot be done without the skill and no engine has it.
    """

    skill: AnySkill
    asked: Callable[[AnyRequest], bool]
    choose: Callable[[AnyRequest, Offers], Choice | None]


def _recognizer(request: AnyRequest, offers: Offers) -> Choice:
    if not isinstance(request, TranscriptionRequest):
        raise TypeError(request)
    return registry.choose(request.language, request.operating_point, offers)


def _translator(request: AnyRequest, offers: Offers) -> Choice:
    if not isinstance(request, TranscriptionRequest):
        raise TypeError(request)
    return registry.choose_translator(request.language, request.operating_point, offers)


def _live(request: AnyRequest, offers: Offers) -> Choice:
    if not isinstance(request, LiveRequest):
        raise TypeError(request)
    return registry.choose(request.language, request.operating_point, offers, Skill.LIVE)


def _aligner(request: AnyRequest, offers: Offers) -> Choice:
    return registry.choose_aligner(request.language, offers)


def _diarizer(request: AnyRequest, offers: Offers) -> Choice | None:
    del request  # diarization is independent of the language
    return registry.choose_diarizer(offers)


def _live_diarizer(request: AnyRequest, offers: Offers) -> Choice | None:
    del request
    return registry.choose_diarizer(offers, Skill.LIVE_DIARIZATION)


def _asks_for_speakers(request: AnyRequest) -> bool:
    return isinstance(request, TranscriptionRequest) and request.diarization is Diarization.SPEAKER


def _asks_for_live_speakers(request: AnyRequest) -> bool:
    return isinstance(request, LiveRequest) and request.diarization.by_speaker


def _asks_for_words(request: AnyRequest) -> bool:
    return isinstance(request, TranscriptionRequest) and not request.translate_speech


def _asks_for_english(request: AnyRequest) -> bool:
    return isinstance(request, TranscriptionRequest) and request.translate_speech


def _stage(skill: StageName, asked: Callable[[TranscriptionRequest], bool]) -> Need:
    return Need(
        skill=skill,
        asked=lambda request: isinstance(request, TranscriptionRequest) and asked(request),
        choose=lambda request, offers: registry.choose_stage(skill, request.language, offers),
    )


NEEDS: tuple[Need, ...] = (
    Need(skill=Skill.TRANSCRIPTION, asked=_asks_for_words, choose=_recognizer),
    Need(skill=Skill.SPEECH_TRANSLATION, asked=_asks_for_english, choose=_translator),
    Need(skill=Skill.LIVE, asked=lambda r: isinstance(r, LiveRequest), choose=_live),
    Need(skill=Skill.ALIGNMENT, asked=lambda r: isinstance(r, AlignmentRequest), choose=_aligner),
    Need(skill=Skill.DIARIZATION, asked=_asks_for_speakers, choose=_diarizer),
    Need(skill=Skill.LIVE_DIARIZATION, asked=_asks_for_live_speakers, choose=_live_diarizer),
    # the backend of a translation is chosen where the stage runs: each target language may have another one
    *(_stage(StageName(stage.name), stage.asked) for stage in STAGES if stage.name != StageName.TRANSLATION),
)
"""Every skill, the main ones first: the job runs in a process of the first one that a request needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The engines of one request. *choices* has an entry for each skill that is needed and present, the main one first."""

    choices: dict[AnySkill, Choice]

    @property
    def main(self) -> Choice:
        """The engine whose process runs the job."""
        return next(iter(self.choices.values()))

    @property
    def keys(self) -> dict[AnySkill, EngineKey]:
        """The keys of the engines, which the process loads."""
        return {skill: choice.key for skill, choice in self.choices.items()}


def resolve(request: AnyRequest, offers: Offers) -> Resolved:
    """Return the engines that *request* needs, chosen from *offers*. Raises `EngineUnavailable`."""
    found = {need.skill: need.choose(request, offers) for need in NEEDS if need.asked(request)}
    return Resolved(choices={skill: choice for skill, choice in found.items() if choice is not None})
