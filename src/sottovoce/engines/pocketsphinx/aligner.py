"""PocketSphinx as an aligner for English: hears with a language model of the text, places words by forced alignment.

Every way of saying a written word (`1984`, `$5`) is a pronunciation of one dictionary entry with a name of ours, so nothing
of the text is ever parsed there. How well a placed word fits is judged against what any sounds at all would have scored.
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
_SHORTEST: Samples = RATE // 10  # with less there is no path through a word
_HEARD, _ANY = "heard", "any"  # names of the decoder's searches
_FILLERS = ("<", "[", "+")
_ALTERNATE = re.compile(r"\(\d+\)$")

_BASE = math.log(1.0001)  # of the decoder's logarithms
_SHIFT = 1 << 10  # forced alignment scores in these fractions of what the loop of sounds scores in
# Score of a frame by which a placed word falls short of any sounds at all: of words that were said 95 of 100 fall short by
# less than 17, with a median of 2; of the words of another text 75 of 100 by more than 19, with a median of 32.
_DOUBTFUL, _SLOPE = -18.0, 4.0


class PocketSphinxAligner:
    """An `Aligner` of English; the decoder of each text is its own, so making this loads nothing yet."""

    @property
    def capabilities(self) -> Capabilities:
        """Those of the recogniser: it is the same model."""
        return CAPABILITIES

    def read(self, words: Sequence[str], language: str) -> "PocketSphinxSession":
        """A reading of *words*. Raises `EngineUnavailable` for a language other than English, or without the package."""
        if language not in CAPABILITIES.languages:
            raise EngineUnavailable(
                f"PocketSphinx knows English only, not {language!r}", at="alignment_config.language"
            )
        return PocketSphinxSession(spoken(words, language))


class PocketSphinxSession:
    """A `Reading` with a decoder that knows the words of one text."""

    def __init__(self, ways: Sequence[tuple[Way, ...]]) -> None:
        entries = _entries(dict.fromkeys(ways))
        self._spoken: list[tuple[str, ...]] = [(entries[each].name,) if each in entries else () for each in ways]
        said = [name for each in self._spoken for name in each]
        self._decoder = _decoder(entries.values(), said) if said else None

    @property
    def spoken(self) -> Sequence[tuple[str, ...]]:
        """One name a word: words that are said alike have the same."""
        return self._spoken

    def recognize(self, stretch: Speech) -> tuple[HeardWord, ...]:
        """Words of the text as the decoder heard them, in any order that it liked."""
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
        """Forced alignment of *words*, each judged against the best sounds for its frames.

        Where the audio ends in the middle of them, the first ones are placed.
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
        """The best path of *search* (None: alignment of *text*) through *stretch*; empty when there is none."""
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
    """An entry of a path: frames inclusive, *score* in the decoder's own unit."""

    word: str
    first: int
    last: int
    score: float

    @property
    def name(self) -> str:
        """The dictionary's entry without the number of the pronunciation."""
        return _ALTERNATE.sub("", self.word)


def _score(ascore: float) -> float:
    """What the library has turned into a probability, as a logarithm again."""
    return math.log(max(ascore, 1e-300)) / _BASE


def _by_frame(path: "Sequence[_Seg]") -> "NDArray[np.float64]":
    """The sum of scores up to each frame, float64[frames + 1]."""
    import numpy as np

    scores = np.zeros(path[-1].last + 1 if path else 0)
    for seg in path:
        scores[seg.first : seg.last + 1] = seg.score / (seg.last + 1 - seg.first)
    return np.concatenate([[0.0], np.cumsum(scores)])


def _fit(seg: _Seg, free: "NDArray[np.float64]") -> float:
    """0..1 for a placed word: 0.5 where it is as likely said as not."""
    first, last = min(seg.first, len(free) - 1), min(seg.last + 1, len(free) - 1)
    short = (seg.score / _SHIFT - float(free[last] - free[first])) / (seg.last + 1 - seg.first)
    return 1.0 / (1.0 + math.exp(min((_DOUBTFUL - short) / _SLOPE, 50.0)))


# ── making ready ──


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """Words that are said alike: our *name* for them, and how they are pronounced."""

    name: str
    sounds: tuple[pronunciation.Phones, ...]

    @property
    def lines(self) -> Iterator[str]:
        """As the dictionary has it; further pronunciations are numbered."""
        for nth, phones in enumerate(self.sounds, start=1):
            yield f"{self.name if nth == 1 else f'{self.name}({nth})'} {' '.join(phones)}\n"


def _entries(said: Iterable[tuple[Way, ...]]) -> dict[tuple[Way, ...], _Entry]:
    """An entry for every set of ways in *said*; those that have no sounds get none."""
    sounds = _Sounds()
    entries: dict[tuple[Way, ...], _Entry] = {}
    for ways in said:
        if pronounced := tuple(dict.fromkeys(phones for way in ways for phones in sounds.of(way))):
            # the same in every attempt at a job, whatever other words there are: what was heard is kept by name
            name = "_" + blake2s(repr(ways).encode("utf-8", "replace"), digest_size=8).hexdigest()
            entries[ways] = _Entry(name=name, sounds=pronounced)
    return entries


class _Sounds:
    """How ways are pronounced, each token looked up once."""

    def __init__(self) -> None:
        self._lookup = lexicon().get
        self._known: dict[str, tuple[pronunciation.Phones, ...]] = {}

    def of(self, way: Way) -> Iterator[pronunciation.Phones]:
        """Pronunciations of *way*: all of a single word, the first ones of several in a row. Never an empty one."""
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
    """The package's dictionary: lower-case words, further pronunciations as `word(2)`, to blank-separated sounds."""
    lines = dictionary_path().read_text(encoding="utf-8").splitlines()
    return {word: sounds for word, _, sounds in (line.partition(" ") for line in lines) if word}


def _decoder(entries: Iterable[_Entry], said: Sequence[str]) -> Any:
    """A decoder with the package's model that knows *entries* alone and expects *said*.

    Measured: a language model on top of the package's own dictionary takes 4 s to load, on this one nothing.
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
        raise EngineUnavailable(f"PocketSphinx cannot take the text: {type(error).__name__}", at=None) from error
    return decoder


@contextmanager
def _in_memory(lines: Iterable[str]) -> Iterator[str]:
    """The name of a file with *lines* that never reaches a disk: the library reads files alone, and a text is the caller's."""
    with os.fdopen(os.memfd_create("text"), "w", encoding="ascii") as file:
        file.writelines(lines)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
