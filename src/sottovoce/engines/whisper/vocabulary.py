"""Custom words, inserted only where the audio supports them. Pure functions over words.

A list of names in the prompt makes Whisper write them where they were not spoken, and changes the rest of its text
(research `whisper-real.md`). So a passage is first decoded without them. If some of its words sound like a custom word, the
passage is decoded again with the custom word in the prompt, and it replaces those words if the second decode has it in the
same place. The rest of the first decode is unchanged.

Parts, in order: limits; `Entry` and `Match`; similarity of sounds; `Vocabulary`, which finds candidates; choosing and
adopting words of the second decode; the prompt.
"""

import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import Match as Block
from difflib import SequenceMatcher

from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.request import VocabEntry

CANDIDATE = 70.0
"""Similarity of sounds, 0 to 100, from which a custom word is a candidate for the second decode."""

MAX_WORDS = 6
"""Most words of an entry; longer ones are ignored, as in contract §6.2."""
MAX_LETTERS = 200
"""Most letters of an entry; longer ones are ignored (contract §6.2 ignores words over 4,000 letters)."""

BUDGET = 200
"""Most tokens of the prompt: with these and Whisper's control tokens, 224 of its 448 remain for the text."""

MOST = 40
"""Most custom words in one prompt, the most similar ones first."""

_LETTERS = 0.1  # weight of the similarity of letters, relative to that of sounds
_LONGEST_RUN = 5  # words of a hypothesis that one entry may replace
_SHORT = 4  # sounds; shorter words resemble too many others
_FAITH = 0.1  # least probability of a short custom word, relative to the words that it replaces
_UNSURE = 0.7  # mean probability below which the first decode counts as unsure


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A custom word as written, and in *heard* the sounds (`sounds`) of it and of its `sounds_like`."""

    content: str
    heard: tuple[str, ...]
    alike: frozenset[str]  # the letters of `sounds_like`


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """words[first:last] of a hypothesis sound like *entry*; *likeness* 0 to 110: sounds up to 100, letters up to 10."""

    entry: Entry
    first: int
    last: int
    likeness: float


_VOWELS = re.compile(r"[aeiouy]+")
_SOUNDS = (
    ("ph", "f"), ("ght", "t"), ("sch", "sh"), ("ck", "k"), ("qu", "kv"), ("x", "ks"), ("w", "v"), ("z", "s"), ("q", "k"),
    ("ce", "se"), ("ci", "si"), ("cy", "sy"), ("c", "k"), ("j", "g"),
)  # fmt: skip


def sounds(text: str) -> str:
    """An approximation of the sound of *text* in languages with Latin letters: classes of consonants, one vowel per run.

    Other scripts keep their letters.
    """
    plain = "".join(
        char for char in unicodedata.normalize("NFD", comparison_key(text)) if not unicodedata.combining(char)
    )
    for written, sound in _SOUNDS:
        plain = plain.replace(written, sound)
    plain = _VOWELS.sub("a", plain)
    return "".join(char for number, char in enumerate(plain) if number == 0 or char != plain[number - 1])


def harmless(text: str) -> str:
    """*text* on one line, without the brackets of control tokens and without unpaired surrogates."""
    text = text.encode("utf-8", "ignore").decode("utf-8")
    text = "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)
    return " ".join(text.replace("<|", " ").replace("|>", " ").split())


def entries(vocab: Iterable[VocabEntry]) -> tuple[tuple[Entry, ...], int]:
    """The usable entries of *vocab*, without duplicates, and the number of ignored ones.

    An entry is ignored if it has more than `MAX_WORDS` words, more than `MAX_LETTERS` letters, or no text.
    """
    found: dict[str, Entry] = {}
    left_out = 0
    for each in vocab:
        text = harmless(each.content)
        if not comparison_key(text) or len(text) > MAX_LETTERS or len(text.split()) > MAX_WORDS:
            left_out += 1
            continue
        alike = [one for one in each.sounds_like if comparison_key(one)]
        heard = dict.fromkeys(sound for sound in map(sounds, [text, *alike]) if sound)
        found.setdefault(text, Entry(content=text, heard=tuple(heard), alike=frozenset(map(comparison_key, alike))))
    return tuple(found.values()), left_out


class Vocabulary:
    """The custom words of one request, prepared for the search."""

    def __init__(self, vocab: Iterable[VocabEntry]) -> None:
        self.entries, self.left_out = entries(vocab)
        self._owners = [entry for entry in self.entries for _ in entry.heard]
        self._sounds = [sound for entry in self.entries for sound in entry.heard]

    def candidates(self, words: Sequence[HypothesisWord]) -> list[Match]:
        """Matches of *words* with custom words, the most similar first; matches of one entry do not overlap."""
        import numpy as np
        from rapidfuzz import fuzz, process

        runs = [run for run in _runs(words) if run[2]]
        if not runs or not self._sounds:
            return []
        scores = process.cdist([run[2] for run in runs], self._sounds, scorer=fuzz.ratio, score_cutoff=CANDIDATE)
        found: list[Match] = []
        for row, column in zip(*(each.tolist() for each in np.nonzero(scores)), strict=True):
            first, last, _ = runs[row]
            entry = self._owners[column]
            letters = fuzz.ratio(_joined(words[first:last]), comparison_key(entry.content))
            # Sounds ignore which vowel it is, so letters decide between "Confu" and "Confu i" for ComfyUI.
            likeness = float(scores[row][column]) + _LETTERS * letters
            found.append(Match(entry=entry, first=first, last=last, likeness=likeness))
        return _apart(sorted(found, key=lambda match: -match.likeness))


def _apart(matches: Iterable[Match]) -> list[Match]:
    """*matches*, the most similar first, without those that overlap a more similar match of the same entry."""
    kept: list[Match] = []
    places: dict[str, set[int]] = {}
    for match in matches:
        taken = places.setdefault(match.entry.content, set())
        own = range(match.first, match.last)
        if taken.isdisjoint(own):
            taken.update(own)
            kept.append(match)
    return kept


def _runs(words: Sequence[HypothesisWord]) -> list[tuple[int, int, str]]:
    """Every run of up to `_LONGEST_RUN` words: first index, end index, sounds."""
    return [
        (first, last, sounds("".join(word.text for word in words[first:last])))
        for first in range(len(words))
        for last in range(first + 1, min(first + _LONGEST_RUN, len(words)) + 1)
    ]


def wanted(matches: Sequence[Match], words: Sequence[HypothesisWord]) -> list[str]:
    """The custom words for the second decode, at most `MOST`: those of *matches* that *words* do not already have."""
    chosen = dict.fromkeys(match.entry.content for match in matches if not _written(match, words))
    return list(chosen)[:MOST]


def _written(match: Match, words: Sequence[HypothesisWord]) -> bool:
    text = " ".join(word.text for word in words[match.first : match.last])
    return _core(text)[1] == match.entry.content


def adopted(
    words: Sequence[HypothesisWord], other: Sequence[HypothesisWord], matches: Sequence[Match]
) -> list[HypothesisWord]:
    """*words* with the custom words of *matches* that *other*, the second decode, has in the same places."""
    said = {comparison_key("".join(word.text for word in run)) for run in _all_runs(other)}
    keys = [comparison_key(word.text) for word in words], [comparison_key(word.text) for word in other]
    blocks = SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks()
    taken: list[Match] = []
    places: set[int] = set()
    for match in matches:
        own = range(match.first, match.last)
        if not places.isdisjoint(own):
            continue
        if _written(match, words) or _supported(match, words, other, blocks, said):
            taken.append(match)
            places.update(own)
    found = list(words)
    for match in sorted(taken, key=lambda each: -each.first):
        if not _written(match, words):
            found[match.first : match.last] = [_replaced(match, words)]
    return found


def _all_runs(words: Sequence[HypothesisWord]) -> Iterator[Sequence[HypothesisWord]]:
    """Every run of up to `MAX_WORDS` words."""
    for first in range(len(words)):
        for count in range(1, MAX_WORDS + 1):
            yield words[first : first + count]


def _supported(
    match: Match,
    words: Sequence[HypothesisWord],
    other: Sequence[HypothesisWord],
    blocks: Sequence[Block],
    said: Container[str],
) -> bool:
    """True if *other* has the custom word of *match* in its place.

    Also true if *words* have one of its `sounds_like` there, at a mean probability below `_UNSURE`. A custom word of fewer
    than `_SHORT` sounds must also have `_FAITH` times the mean probability of the words that it replaces.
    *blocks*: runs of words that *words* and *other* have in common; *said*: the letters of every run of words of *other*.
    """
    place = words[match.first : match.last]
    mean = sum(word.probability for word in place) / len(place)
    if _joined(place) in match.entry.alike and mean < _UNSURE:
        return True
    key = comparison_key(match.entry.content)
    if key not in said:
        return False
    opposite = _opposite(match, blocks, other)
    at = next(
        (n for n in range(len(opposite)) for m in range(1, MAX_WORDS + 1) if _joined(opposite[n : n + m]) == key), None
    )
    if at is None:
        return False
    return min(map(len, match.entry.heard)) >= _SHORT or opposite[at].probability >= _FAITH * mean


def _joined(words: Sequence[HypothesisWord]) -> str:
    return comparison_key("".join(word.text for word in words))


def _opposite(match: Match, blocks: Sequence[Block], other: Sequence[HypothesisWord]) -> Sequence[HypothesisWord]:
    """The words of *other* in the place of *match*: between the nearest words that both have in common."""
    low = max(
        (block.b + min(block.size, match.first - block.a) for block in blocks if block.a < match.first), default=0
    )
    high = min(
        (block.b + max(match.last - block.a, 0) for block in blocks if block.a + block.size > match.last),
        default=len(other),
    )
    return other[low:high]


def _replaced(match: Match, words: Sequence[HypothesisWord]) -> HypothesisWord:
    """The custom word that replaces the words of *match*, with the marks around them, their time and mean probability."""
    place = words[match.first : match.last]
    before, _, after = _core("".join(word.text for word in place))
    return HypothesisWord(
        text=before + match.entry.content + after,
        start=place[0].start,
        end=place[-1].end,
        probability=sum(word.probability for word in place) / len(place),
    )


def _core(text: str) -> tuple[str, str, str]:
    """*text* in three parts: leading marks, core, trailing marks."""
    inner = [number for number, char in enumerate(text) if char.isalnum()]
    if not inner:
        return text, "", ""
    return text[: inner[0]], text[inner[0] : inner[-1] + 1], text[inner[-1] + 1 :]


def previous(
    chosen: Sequence[str], code: str, encode: Callable[[str], Sequence[int]], plain: int
) -> tuple[list[int], int]:
    """Tokens of a prompt with the words *chosen* as far as `BUDGET` allows, and the number of words left out.

    *encode* turns text into tokens. Tokens from *plain* on are control tokens; a word that contains one is left out.
    """
    kept: list[str] = []
    used = len(encode(_sentence([], code))) + 1
    for word in chosen:
        tokens = encode(f", {word}")
        if any(token >= plain for token in tokens) or used + len(tokens) > BUDGET:
            continue
        kept.append(word)
        used += len(tokens)
    return (list(encode(_sentence(kept, code))), len(chosen) - len(kept)) if kept else ([], len(chosen))


def _sentence(words: Sequence[str], code: str) -> str:
    """A sentence with *words*: after a bare list, the model would write lists."""
    listed = ", ".join(words)
    return f" They talked about {listed} for a while." if code == "en" else f" {listed}."
