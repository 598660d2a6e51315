"""Sentences of a transcript: made once, with their times, speaker and channel, and passed to every stage."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sottovoce.intelligence.protocols import Sentence
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, Item, Mark, Samples, Transcript

PAUSE: Samples = 2 * RATE
"""A pause of 2 s ends a sentence: a recogniser without punctuation marks has no other ends."""
MOST_WORDS = 80
"""The longest sentence; a transcript without marks would otherwise be one."""


def sentences(transcript: Transcript) -> tuple[Sentence, ...]:
    """Return the sentences of *transcript*, by rising start and numbered from 0."""
    channels: dict[str | None, list[Item]] = {}
    for item in transcript.items:
        channels.setdefault(item.channel, []).append(item)
    found = [
        made for items in channels.values() for part in split(items) if (made := sentence_of(part, transcript.language))
    ]
    found.sort(key=lambda sentence: (sentence.start, sentence.end))
    return tuple(replace(sentence, id=number) for number, sentence in enumerate(found))


def split(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield the items of each sentence of one channel: it ends with an end mark, and before a pause or another speaker."""
    part: list[Item] = []
    ended = False
    for item in items:
        if part and not isinstance(item, Mark) and (ended or _breaks(part, item)):
            yield part
            part, ended = [], False
        part.append(item)
        ended = ended or (isinstance(item, Mark) and item.ends_sentence)
    if part:
        yield part


def _breaks(part: list[Item], item: Item) -> bool:
    last = part[-1]
    return item.start - last.end >= PAUSE or item.speaker != last.speaker or len(part) >= MOST_WORDS


def sentence_of(part: Sequence[Item], language: str) -> Sentence | None:
    """Return the sentence of *part*, without a number yet; None for marks alone. *language*: of words that have none."""
    spoken = [item for item in part if not isinstance(item, Mark)]
    if not spoken:
        return None
    first = spoken[0]
    return Sentence(
        id=0,
        start=first.start,
        end=max(item.end for item in spoken),
        text=join(part, pack(first.language or language)),
        words=sum(len(item.text.split()) for item in spoken),
        language=first.language or language,
        speaker=first.speaker,
        channel=first.channel,
    )
