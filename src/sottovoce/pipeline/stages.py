"""The formatting stages between recognised words and a transcript: pure steps over one channel's items, in fixed order.

A stage that fails is skipped: the next one gets the items of the stage before it, and the job's log reports the failure. Only a
fault of the request ends the job.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sottovoce.errors import Kind, Refused
from sottovoce.pipeline import script
from sottovoce.pipeline.cpu_limit import cpu_limit
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript import formatting, mark_threshold, replacements, spelling, tags, verbalization
from sottovoce.transcript.entities import items as entities
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import Item, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """The input of every stage besides the items; *end* is the duration of the media."""

    request: TranscriptionRequest
    pack: LanguagePack
    end: Samples
    punctuated: bool  # the engine's items already have punctuation and capitals
    rules: replacements.Rules
    before: tuple[Item, ...] = ()  # items of the channel that were published before, in a live session

    @property
    def custom_words(self) -> frozenset[str]:
        """Custom words, which keep the caller's casing."""
        return frozenset(entry.content for entry in self.request.additional_vocab)


RULES = "transcript_filtering_config.replacements"
RULES_BASE, RULES_PER_ITEM, RULES_MOST = 10.0, 0.005, 120.0
"""Seconds of processor time for replacement rules: for each transcript, for each item, and at most. A thousand ordinary
regexes take half a millisecond for a word. The most is below the time without progress after which a process is killed."""

Step = Callable[[tuple[Item, ...], StageContext], tuple[Item, ...]]


def _script(items: tuple[Item, ...], scene: StageContext) -> tuple[Item, ...]:
    written = script.written(items, scene.pack.code, scene.request.output_locale)
    return spelling.respell(written, scene.request.output_locale, scene.custom_words)


def _disfluencies(items: tuple[Item, ...], scene: StageContext) -> tuple[Item, ...]:
    tagged = tags.tag_disfluencies(items, scene.pack)
    return tags.remove_disfluencies(tagged, scene.pack) if scene.request.remove_disfluencies else tagged


def _entities(items: tuple[Item, ...], scene: StageContext) -> tuple[Item, ...]:
    def speak(texts: Sequence[str]) -> list[Sequence[str]]:
        return [ways[0] if ways else () for ways in verbalization.spoken(texts, scene.pack.code)]

    return entities.rewrite(items, scene.pack, speak, scene.custom_words, scene.before)


def _profanities(items: tuple[Item, ...], scene: StageContext) -> tuple[Item, ...]:
    return tags.tag_profanities(items, scene.pack)


def _punctuation(items: tuple[Item, ...], scene: StageContext) -> tuple[Item, ...]:
    overrides = scene.request.punctuation
    if scene.punctuated:
        return mark_threshold.adjust(items, scene.pack, overrides)
    return formatting.punctuate(items, scene.pack, overrides, end=scene.end)


def _casing(items: tuple[Item, ...], scene: StageContext) -> tuple[Item, ...]:
    return items if scene.punctuated else formatting.capitalise(items, scene.pack, keep=scene.custom_words)


def _replacements(items: tuple[Item, ...], scene: StageContext) -> tuple[Item, ...]:
    try:
        with cpu_limit(min(RULES_MOST, RULES_BASE + RULES_PER_ITEM * len(items))):
            return replacements.apply(items, scene.rules)
    except TimeoutError as error:  # between two matches
        raise Refused(
            Kind.INVALID_CONFIG, "the replacement rules take too long on this transcript", at=RULES
        ) from error


# The script and the spelling come first, because all others work on the written characters. Disfluencies come before entities,
# punctuation and casing, which must not count removed words. Entities come before punctuation, so that no mark divides one.
# Replacements come last and match the words as they are written.
STEPS: tuple[tuple[str, Step], ...] = (
    ("script", _script),
    ("disfluencies", _disfluencies),
    ("entities", _entities),
    ("punctuation", _punctuation),
    ("casing", _casing),
    ("profanities", _profanities),
    ("replacements", _replacements),
)


def run_stages(
    items: tuple[Item, ...], scene: StageContext, failed: Callable[[str, Exception], None]
) -> tuple[Item, ...]:
    """Run *items* of one channel through every step; call *failed* with the name and error of a step that is skipped.

    Raises `Refused` if a step finds a fault of the request: a transcript without the replacements that it asks for may show words
    that should not be seen.
    """
    for name, step in STEPS:
        try:
            items = step(items, scene)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - one failing stage must not fail the transcript
            failed(name, error)
    return items
