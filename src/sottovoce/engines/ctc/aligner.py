"""Forced alignment with a CTC model such as wav2vec2, in the languages that its letters cover.

The model returns the probability of every letter in each frame of about 20 ms. `recognize` takes the most probable letter
of each frame; `align` finds the best path of the known letters through the frames (`forced_alignment`).
In order: the constants and `offer`; `CtcAligner`, the loaded model; `CtcSession`, one text; frames to media times.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import accumulate, chain, groupby, pairwise
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.engines.ctc import forced_alignment
from sottovoce.engines.ctc.emissions import Emissions
from sottovoce.engines.ctc.forced_alignment import Found
from sottovoce.engines.ctc.vocabulary import Spelling, Vocabulary, read_vocabulary
from sottovoce.engines.models.catalogue import Model
from sottovoce.engines.protocols import Capabilities, HeardWord, PlacedWord, Skill, Speech
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, Samples
from sottovoce.transcript.verbalization import spoken

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

DOUBTFUL = 2.0
"""Nepers by which a word's letters lie below the most probable ones, on average per frame, when its score is 0.5."""
LETTER: Samples = RATE * 8 // 100
"""Longest time that a letter of an unplaced word is given: 0.08 s."""


def offer(model: Model, kind_of_device: str) -> Capabilities | None:
    """Return what *model* can do on *kind_of_device* (`cpu`, `cuda`); None if the model has no languages listed."""
    if not model.languages:
        return None
    return Capabilities(
        engine=model.engine,
        model=model.name,
        languages=model.languages,
        skills=frozenset({Skill.ALIGNMENT}),
        grade=model.grade,
        suits=model.suits,
        device=kind_of_device,
    )


class CtcAligner:
    """An `Aligner` with one loaded model, whose files in *folder* have the names of `catalogue`.

    *device*: `cpu`, `cuda` or `cuda:N`. *threads*: of one run, 0 = onnxruntime's default. Errors: EngineUnavailable when
    a file is missing or invalid, or the device cannot be used.
    """

    def __init__(self, folder: Path, capabilities: Capabilities, *, device: str, threads: int) -> None:
        self._capabilities = capabilities
        model = capabilities.model
        try:
            self._vocabulary = read_vocabulary(folder)
            self._emissions = Emissions(folder, self._vocabulary, device=device, threads=threads)
        except EngineUnavailable as error:
            raise EngineUnavailable(f"{model} cannot be loaded: {error.why}", at=None) from error
        except ValueError as error:
            raise EngineUnavailable(f"{model} cannot be loaded: {error}", at=None) from error
        except Exception as error:
            why = f"{model} cannot be loaded ({type(error).__name__}): run `sottovoce models verify {model}`"
            raise EngineUnavailable(why, at=None) from error

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities passed to the constructor."""
        return self._capabilities

    def read(self, words: Sequence[str], language: str) -> "CtcSession":
        """Return a session for the text *words*, spelled in the model's letters.

        Raises `EngineUnavailable` for a language that the model does not support.
        """
        if language not in self._capabilities.languages:
            raise EngineUnavailable(f"{self._capabilities.model} does not support the language {language!r}")
        apart = self._vocabulary.delimiter is None or not pack(language).delimiter
        said = [_spelled(ways, self._vocabulary, apart=apart) for ways in spoken(words, language)]
        return CtcSession(said, self._vocabulary, self._emissions, apart=apart)


def _spelled(ways: Sequence[Sequence[str]], vocabulary: Vocabulary, *, apart: bool) -> tuple[Spelling, ...]:
    """Return the first of *ways* of which the vocabulary has all letters, else the first of which it has any.

    *apart*: make each letter a token of its own, for models or languages without a delimiter between words.
    """
    spelled = [[vocabulary.spelled(token) for token in (chain.from_iterable(way) if apart else way)] for way in ways]
    left = [[each for each in way if each.ids] for way in spelled]
    whole = (some for way, some in zip(spelled, left, strict=True) if some and all(each.whole for each in way))
    return tuple(next(whole, next((some for some in left if some), ())))


class CtcSession:
    """An `AlignmentSession`: *said* is the spelling of each word of the text, empty for a word without sound.

    The outputs of the last stretch are cached, because a stretch that was recognized is often aligned next.
    """

    def __init__(
        self, said: Sequence[tuple[Spelling, ...]], vocabulary: Vocabulary, emissions: Emissions, *, apart: bool
    ) -> None:
        self.spoken: Sequence[tuple[str, ...]] = [tuple(each.text for each in word) for word in said]
        self._said = said
        self._vocabulary = vocabulary
        self._emissions = emissions
        self._apart = apart
        self._last: tuple[bytes, Floats] | None = None

    def recognize(self, stretch: Speech) -> tuple[HeardWord, ...]:
        """Return the most probable letters as words; none for an empty stretch."""
        if not len(stretch.audio):
            return ()
        outputs = self._outputs(stretch.audio).argmax(axis=1).tolist()
        return tuple(self._words(_letters(outputs, self._vocabulary), stretch))

    def align(self, stretch: Speech, words: Sequence[int]) -> tuple[PlacedWord | None, ...]:
        """Return the words on the best path; a word that it skips is put between its neighbours with *score* 0, maybe empty.

        All are None when no word is found, for example because there are more letters than frames.
        """
        said = [self._said[number] for number in words]
        runs = [token.ids for word in said for token in word]
        if not runs or not len(stretch.audio):
            return (None,) * len(said)
        vocabulary = self._vocabulary
        found = forced_alignment.find(self._outputs(stretch.audio), runs, vocabulary.blank, vocabulary.delimiter)
        if not any(found):
            return (None,) * len(said)
        left = iter(found)
        there = [self._word([next(left) for _ in word], word, stretch) for word in said if word]
        letters = [sum(len(token.ids) for token in word) for word in said if word]
        placed = _filled(_widened(there, self._emissions.frame, stretch), letters, stretch)
        return tuple(next(placed) if word else None for word in said)

    def _outputs(self, audio: "Floats") -> "Floats":
        key = sha256(audio.tobytes()).digest()
        if self._last is None or self._last[0] != key:
            self._last = None  # free the old outputs before the new ones are computed
            self._last = key, self._emissions(audio)
        return self._last[1]

    def _words(self, letters: "Iterable[_Letter]", stretch: Speech) -> Iterator[HeardWord]:
        words: list[list[_Letter]] = [[]]
        for letter in letters:
            if self._apart or letter.text is None:
                words.append([])
            if letter.text is not None:
                words[-1].append(letter)
        for word in filter(None, words):
            start, end = self._time(word[0].first, stretch), self._time(word[-1].last, stretch)
            yield HeardWord(text="".join(letter.text or "" for letter in word), start=start, end=end)

    def _word(self, runs: Sequence[Found | None], word: Sequence[Spelling], stretch: Speech) -> PlacedWord | None:
        """Place *word* by those of its *runs* that were found; letters of the others count as `PASSED` nepers below."""
        there = [run for run in runs if run]
        if not there:
            return None
        below = fsum(
            len(token.ids) * (run.below if run else forced_alignment.PASSED)
            for run, token in zip(runs, word, strict=True)
        ) / sum(len(token.ids) for token in word)
        start, end = self._time(there[0].first, stretch), self._time(there[-1].last, stretch)
        return PlacedWord(start=start, end=end, score=2 ** (-below / DOUBTFUL))

    def _time(self, frame: int, stretch: Speech) -> Samples:
        """Return the media time at which *frame* begins."""
        return min(stretch.start + frame * self._emissions.frame, stretch.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """A letter, or None for the delimiter between words, in frames *first* … *last* (exclusive)."""

    text: str | None
    first: int
    last: int


def _letters(outputs: Iterable[int], vocabulary: Vocabulary) -> Iterator[_Letter]:
    """Collapse the most probable *outputs* of all frames as CTC does: one letter per run of equal outputs, without blanks."""
    at = 0
    for output, row in groupby(outputs):
        first, at = at, at + sum(1 for _ in row)
        if output == vocabulary.delimiter or output in vocabulary.texts:
            yield _Letter(text=vocabulary.texts.get(output), first=first, last=at)


# ── from frames to times ──


def _widened(words: Sequence[PlacedWord | None], by: Samples, stretch: Speech) -> list[PlacedWord | None]:
    """Extend each word that was found by *by* samples at both ends, but at most half way to its neighbour.

    A CTC model outputs a letter in one or two frames of its sound and blanks in the others.
    """
    found = [word for word in words if word]
    halves = ((one.end + other.start) // 2 for one, other in pairwise(found))
    wide = (
        replace(word, start=max(word.start - by, least), end=min(word.end + by, most))
        for word, (least, most) in zip(found, pairwise([stretch.start, *halves, stretch.end]), strict=True)
    )
    return [next(wide) if word else None for word in words]


def _filled(words: Sequence[PlacedWord | None], letters: Sequence[int], stretch: Speech) -> Iterator[PlacedWord]:
    """Yield all words; those that were not found divide the free time between their neighbours by their *letters*.

    They follow the preceding word directly; at the beginning of the stretch, they end where the first word found begins.
    """
    done, edge = 0, stretch.start
    for found, group in groupby(words, bool):
        row = list(group)
        first, done = done, done + len(row)
        if found:
            for word in filter(None, row):
                yield word
                edge = word.end
            continue
        following = words[done] if done < len(words) else None
        limit = following.start if following else stretch.end
        sizes = letters[first:done]
        room = min(limit - edge, LETTER * sum(sizes))
        begin = edge if first else limit - room
        cuts = (begin + room * said // sum(sizes) for said in accumulate(sizes, initial=0))
        yield from (PlacedWord(start=start, end=end, score=0.0) for start, end in pairwise(cuts))
