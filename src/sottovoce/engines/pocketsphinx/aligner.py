"""PocketSphinx as an English aligner: recognition with a language model of the text, then forced alignment.

Every way of saying a written word (`1984`, `$5`) is a pronunciation of one dictionary entry with a generated name, so the
library never parses the text itself. A placed word is scored against an unconstrained phone loop over the same frames.
In order: the constants; the aligner and its session; scores; the dictionary and the decoder of a text.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2s
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from sottovoce.engines.pocketsphinx import pronunciation, text_language_model
from sottovoce.engines.pocketsphinx.recognizer import CAPABILITIES, dictionary_path, pcm
from sottovoce.engines.protocols import Capabilities, HeardWord, PlacedWord, Speech
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.model import RATE, Samples
from sottovoce.transcript.verbalization import spoken
from sottovoce.transcript.verbalization.variants import Way

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FRAME: Samples = RATE // 100
_SHORTEST: Samples = RATE // 10  # shorter audio has no path through a word
_HEARD, _ANY = "heard", "any"  # names of the decoder's searches: language model of the text, phone loop
_FILLERS = ("<", "[", "+")  # <s> </s> <sil> [noise] ++breath++
_ALTERNATE = re.compile(r"\(\d+\)$")  # number of a further pronunciation

_BASE = math.log(1.0001)  # nats per unit of the decoder's scores
_SHIFT = 1 << 10  # scores of forced alignment are larger by this factor than those of the phone loop
# Score per frame (units of the decoder) by which a placed word lies below the phone loop. Measured: 95 of 100 spoken words
# lie less than 17 below, with a median of 2; 75 of 100 words of another text more than 19, with a median of 32.
# _DOUBTFUL has the fit 0.5; _SLOPE is the scale of the logistic function.
_DOUBTFUL, _SLOPE = -18.0, 4.0


class PocketSphinxAligner:
    """An `Aligner` for English; each session loads its own decoder, so the constructor loads nothing."""

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the recogniser, which has the same model."""
        return CAPABILITIES

    def read(self, words: Sequence[str], language: str) -> "PocketSphinxSession":
        """Return a session for *words*. Raises `EngineUnavailable` for a language other than English, or without the package."""
        if language not in CAPABILITIES.languages:
            raise EngineUnavailable(
                f"PocketSphinx supports English only, not {language!r}", at="alignment_config.language"
            )
        return PocketSphinxSession(spoken(words, language))


class PocketSphinxSession:
    """An `AlignmentSession` whose decoder has the words of one text."""

    def __init__(self, ways: Sequence[tuple[Way, ...]]) -> None:
        entries = _entries(dict.fromkeys(ways))
        self._spoken: list[tuple[str, ...]] = [(entries[each].name,) if each in entries else () for each in ways]
        said = [name for each in self._spoken for name in each]
        self._decoder = _decoder(entries.values(), said) if said else None

    @property
    def spoken(self) -> Sequence[tuple[str, ...]]:
        """The dictionary name of each word, empty for a word without sound; words with the same pronunciations share it."""
        return self._spoken

    def recognize(self, stretch: Speech) -> tuple[HeardWord, ...]:
        """Return the words of the text that the decoder recognizes, in spoken order."""
        if len(stretch.audio) < _SHORTEST:
            return ()
        path = self._run(_HEARD, stretch)
        return tuple(
            HeardWord(
                text=seg.name,
                start=stretch.start + seg.first * _FRAME,
                end=min(stretch.start + (seg.last + 1) * _FRAME, stretch.end),
            )
            for seg in path
            if not seg.word.startswith(_FILLERS)
        )

    def align(self, stretch: Speech, words: Sequence[int]) -> tuple[PlacedWord | None, ...]:
        """Place *words* by forced alignment, each scored against the best phones for its frames.

        If the audio ends before the last word, only the first words are placed; the others are None.
        """
        said = [number for number in words if self._spoken[number]]
        nothing = dict.fromkeys(words)
        if not said or len(stretch.audio) < _SHORTEST:
            return tuple(nothing.values())
        text = " ".join(self._spoken[number][0] for number in said)
        path = [seg for seg in self._run(None, stretch, text) if not seg.word.startswith(_FILLERS)]
        if any(self._spoken[number][0] != seg.name for number, seg in zip(said, path, strict=False)):
            return tuple(nothing.values())
        free = _by_frame(self._run(_ANY, stretch))
        placed: dict[int, PlacedWord | None] = dict(nothing)
        for number, seg in zip(said, path, strict=False):
            placed[number] = PlacedWord(
                start=stretch.start + seg.first * _FRAME,
                end=min(stretch.start + (seg.last + 1) * _FRAME, stretch.end),
                score=_fit(seg, free),
            )
        return tuple(placed.values())

    def _run(self, search: str | None, stretch: Speech, text: str = "") -> "list[_Seg]":
        """Return the best path of *search* (None: forced alignment of *text*) through *stretch*; empty when there is none."""
        decoder = self._decoder
        if decoder is None:
            return []
        if search is None:
            decoder.set_align_text(text)
        else:
            decoder.activate_search(search)
        decoder.reinit_feat()
        decoder.start_utt()
        try:
            decoder.process_raw(pcm(stretch.audio), no_search=False, full_utt=True)
        finally:
            decoder.end_utt()
        if decoder.hyp() is None:
            return []
        return [_Seg(seg.word, seg.start_frame, seg.end_frame, _score(seg.ascore)) for seg in decoder.seg() or ()]


class _Seg(NamedTuple):
    """An entry of a path: frames inclusive, *score* in the decoder's unit (`_BASE`)."""

    word: str
    first: int
    last: int
    score: float

    @property
    def name(self) -> str:
        """The dictionary's name of the entry, without the number of the pronunciation."""
        return _ALTERNATE.sub("", self.word)


def _score(ascore: float) -> float:
    """Return the log score, in the decoder's unit, of the linear probability that the library returns."""
    return math.log(max(ascore, 1e-300)) / _BASE


def _by_frame(path: "Sequence[_Seg]") -> "NDArray[np.float64]":
    """Return the cumulative scores before each frame, float64[frames + 1]."""
    import numpy as np

    scores = np.zeros(path[-1].last + 1 if path else 0)
    for seg in path:
        scores[seg.first : seg.last + 1] = seg.score / (seg.last + 1 - seg.first)
    return np.concatenate([[0.0], np.cumsum(scores)])


def _fit(seg: _Seg, free: "NDArray[np.float64]") -> float:
    """Return the fit of a placed word, 0..1: 0.5 at `_DOUBTFUL`. *free*: cumulative scores of the phone loop."""
    first, last = min(seg.first, len(free) - 1), min(seg.last + 1, len(free) - 1)
    short = (seg.score / _SHIFT - float(free[last] - free[first])) / (seg.last + 1 - seg.first)
    return 1.0 / (1.0 + math.exp(min((_DOUBTFUL - short) / _SLOPE, 50.0)))


# ── the dictionary and the decoder of a text ──


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A dictionary entry for words with the same pronunciations: the generated *name*, and the pronunciations."""

    name: str
    sounds: tuple[pronunciation.Phones, ...]

    @property
    def lines(self) -> Iterator[str]:
        """The lines of the dictionary file; further pronunciations are numbered."""
        for nth, phones in enumerate(self.sounds, start=1):
            yield f"{self.name if nth == 1 else f'{self.name}({nth})'} {' '.join(phones)}\n"


def _entries(said: Iterable[tuple[Way, ...]]) -> dict[tuple[Way, ...], _Entry]:
    """Return an entry for every set of ways in *said* that has a pronunciation."""
    sounds = _Sounds()
    entries: dict[tuple[Way, ...], _Entry] = {}
    for ways in said:
        if pronounced := tuple(dict.fromkeys(phones for way in ways for phones in sounds.of(way))):
            # the name must be the same in every attempt of a job: stored windows refer to it
            name = "_" + blake2s(repr(ways).encode("utf-8", "replace"), digest_size=8).hexdigest()
            entries[ways] = _Entry(name=name, sounds=pronounced)
    return entries


class _Sounds:
    """Pronunciations of ways, with a cache of tokens."""

    def __init__(self) -> None:
        self._lookup = lexicon().get
        self._known: dict[str, tuple[pronunciation.Phones, ...]] = {}

    def of(self, way: Way) -> Iterator[pronunciation.Phones]:
        """Yield non-empty pronunciations of *way*: all of a single token, one of several tokens (the first of each)."""
        tokens = [self._token(token) for token in way]
        if len(tokens) == 1:
            yield from tokens[0]
        elif together := tuple(phone for token in tokens for phone in (token[0] if token else ())):
            yield together[: pronunciation.MAX_PHONES]

    def _token(self, token: str) -> tuple[pronunciation.Phones, ...]:
        if token not in self._known:
            self._known[token] = tuple(dict.fromkeys(self._pronounced(token)))
        return self._known[token]

    def _pronounced(self, token: str) -> Iterator[pronunciation.Phones]:
        if first := pronunciation.pronounce(token, self._lookup):
            yield first
            for nth in count(2):
                other = self._lookup(f"{token}({nth})")
                if not other:
                    return
                yield tuple(other.split())


@lru_cache(maxsize=1)
def lexicon() -> Mapping[str, str]:
    """Return the package's dictionary: lower-case words, further pronunciations as `word(2)`, to space-separated phones."""
    lines = dictionary_path().read_text(encoding="utf-8").splitlines()
    return {word: sounds for word, _, sounds in (line.partition(" ") for line in lines) if word}


def _decoder(entries: Iterable[_Entry], said: Sequence[str]) -> Any:
    """Return a decoder with the package's acoustic model, a dictionary of *entries* and a language model of *said*.

    Measured: loading a language model with the package's own dictionary takes 4 s, with this one no measurable time.
    Raises `EngineUnavailable`.
    """
    try:
        from pocketsphinx import Config, Decoder

        with _in_memory(line for entry in entries for line in entry.lines) as words:
            decoder = Decoder(Config(loglevel="FATAL", lm=None, dict=words))
        with _in_memory(f"{line}\n" for line in text_language_model.arpa(said)) as model:
            decoder.add_lm_file(_HEARD, model)
        decoder.add_allphone_file(_ANY, None)
    except Exception as error:
        raise EngineUnavailable(f"PocketSphinx cannot load the text: {type(error).__name__}", at=None) from error
    return decoder


@contextmanager
def _in_memory(lines: Iterable[str]) -> Iterator[str]:
    """Yield the name of an in-memory file with *lines*: the library reads only files, and a caller's text must not reach a disk."""
    with os.fdopen(os.memfd_create("text"), "w", encoding="ascii") as file:
        file.writelines(lines)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
