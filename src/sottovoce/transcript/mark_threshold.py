"""`sensitivity` for engines that punctuate (contract §6.2): which of their marks stay, and which pauses get a comma.

A mark has the engine's confidence, or one from the pause after it. At 0.5 all marks stay; below, unsure marks are left out;
above, pauses before a clause get commas that the engine left out.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sottovoce.request import DEFAULT_SENSITIVITY, PunctuationOverrides
from sottovoce.transcript.formatting import SENTENCE_PAUSE, clause_commas, permit
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import Item, Mark, Samples, Word

_INSIDE, _AT_END = 0.5, 0.75
"""Confidence of a mark without a pause after it: within a sentence, and at its end. A pause of `SENTENCE_PAUSE` makes it 1."""


def adjust(items: Iterable[Item], pack: LanguagePack, overrides: PunctuationOverrides) -> tuple[Item, ...]:
    """*items* of one channel with the marks that *overrides* leave; a word after a removed full stop loses its capital
    if the transcript has it without one.
    """
    line = list(permit(items, overrides))
    if overrides.sensitivity > DEFAULT_SENSITIVITY:
        return tuple(clause_commas(line, pack, overrides))
    least = 1 - overrides.sensitivity / DEFAULT_SENSITIVITY
    if least <= 0:
        return tuple(line)
    return tuple(_without_unsure(line, least))


def _without_unsure(line: Sequence[Item], least: float) -> Iterable[Item]:
    lower = Counter(item.text for item in line if isinstance(item, Word) and item.text == item.text.lower())
    opened = False
    for index, item in enumerate(line):
        last = index + 1 == len(line)
        if isinstance(item, Mark):
            if last or confidence(item, line[index + 1].start) >= least:
                opened = False
                yield item
            else:
                opened = opened or item.ends_sentence
            continue
        decapitalised = opened and isinstance(item, Word) and lower[item.text.lower()]
        opened = False
        yield replace(item, text=item.text.lower()) if decapitalised else item


def confidence(mark: Mark, following: Samples) -> float:
    """The confidence 0..1 of *mark* before a word that starts at *following*."""
    if mark.confidence is not None:
        return mark.confidence
    least = _AT_END if mark.ends_sentence else _INSIDE
    return least + (1 - least) * min(1.0, max(0, following - mark.at) / SENTENCE_PAUSE)
