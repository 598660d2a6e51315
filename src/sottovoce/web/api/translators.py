"""What a realtime session gets beside recognition: translators, and audio events; and the warnings about what is not there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sottovoce.engines import registry
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.registry import Choice
from sottovoce.inference import messages as m
from sottovoce.inference.live_events import SentenceHeard
from sottovoce.inference.pool import Pool
from sottovoce.intelligence.audio_events import TYPES
from sottovoce.intelligence.stages import StageName
from sottovoce.pipeline.live.beside.audio_events import TYPES as DETECTED
from sottovoce.realtime.ports import Planner, Served, Translator
from sottovoce.request import LiveRequest
from sottovoce.service.jobs.capabilities import CapabilityTable
from sottovoce.wire.realtime import warnings
from sottovoce.wire.realtime.config import ConfigWarning


def planner(offers: CapabilityTable, pool: Pool) -> Planner:
    """Decides by *offers*; the translators run in *pool*."""

    def plan(request: LiveRequest) -> Served:
        request, untranslated, translators = _translation(request, offers, pool)
        request, unheard = _audio_events(request, offers)
        return Served(request=request, warnings=(*untranslated, *unheard), translators=translators)

    return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pooled:
    """A translator in a process of *pool*. *heard*: it needs the audio."""

    pool: Pool
    key: EngineKey
    language: str
    target: str
    heard: bool

    @property
    def partials(self) -> bool:
        """True unless it needs audio, which only final sentences have."""
        return not self.heard

    async def prepare(self) -> None:
        """Start the process."""
        await self.pool.prepare_translator(self.key)

    async def translate(self, sentences: Sequence[SentenceHeard]) -> Sequence[str]:
        """The text of each of *sentences*."""
        if not self.heard:
            return await self.pool.translate(self.key, self._asked(sentences))
        found: list[str] = []
        for each in sentences:
            asked = replace(self._asked([each]), lead=each.lead, length=each.end - each.start)
            found += await self.pool.translate(self.key, asked, each.audio)
        return found

    def _asked(self, sentences: Sequence[SentenceHeard]) -> m.Translate:
        return m.Translate(language=self.language, target=self.target, texts=tuple(each.text for each in sentences))


class _Same:
    """The translator into the language of the session."""

    partials = True

    async def prepare(self) -> None:
        """Nothing to do."""

    async def translate(self, sentences: Sequence[SentenceHeard]) -> Sequence[str]:
        """The sentences as they were spoken (contract `batch-v2.md` §7.5)."""
        return [each.text for each in sentences]


def _translation(
    request: LiveRequest, offers: CapabilityTable, pool: Pool
) -> tuple[LiveRequest, list[ConfigWarning], dict[str, Translator]]:
    wanted = request.translation
    if wanted is None:
        return request, [], {}
    chosen: dict[str, Choice | None] = {
        target: registry.choose_stage(StageName.TRANSLATION, request.language, offers.engines, target)
        for target in wanted.targets
        if target != request.language
    }
    missing = [warnings.unsupported_pair(request.language, target) for target, found in chosen.items() if found is None]
    translators: dict[str, Translator] = {}
    for target in wanted.targets:
        if target == request.language:
            translators[target] = _Same()
        elif choice := chosen[target]:
            translators[target] = _Pooled(
                pool=pool,
                key=choice.key,
                language=request.language,
                target=target,
                heard=choice.capabilities.hears,
            )
    if not translators:
        return replace(request, translation=None), [*missing, warnings.no_targets()], {}
    heard = any(each.capabilities.hears for each in chosen.values() if each is not None)
    return (
        replace(request, translation=replace(wanted, targets=tuple(translators), heard=heard)),
        missing,
        translators,
    )


def _audio_events(request: LiveRequest, offers: CapabilityTable) -> tuple[LiveRequest, list[ConfigWarning]]:
    if request.audio_events is None:
        return request, []
    here = {kind for entry in registry.skilled(offers.engines, StageName.AUDIO_EVENTS) for kind in entry.event_types}
    wanted, detected = frozenset(request.audio_events or TYPES), DETECTED & here
    missing = wanted - detected
    found = tuple(sorted(wanted & detected))
    return replace(request, audio_events=found or None), [warnings.undetected(missing, detected)] if missing else []
