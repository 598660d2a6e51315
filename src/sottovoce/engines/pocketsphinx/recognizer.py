"""PocketSphinx with the US English model of its package: small, offline, always available, tens of percent WER.

It runs as measured (research `engines.md` §2): default beams and weights, one utterance at a time, batch CMN. The decoder
holds the GIL while it works, so it needs a process of its own.
In order: the constants and `Evidence`; `PocketSphinx`; loading; decoding; media words; custom words.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from sottovoce.engines.pocketsphinx import pronunciation
from sottovoce.engines.protocols import Capabilities, Hints, Recognized, Skill, Speech
from sottovoce.errors import EngineUnavailable
from sottovoce.request import VocabEntry
from sottovoce.transcript.model import RATE, Samples, Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CAPABILITIES = Capabilities(
    engine="pocketsphinx",
    model="en-us",
    languages=frozenset({"en"}),
    skills=frozenset({Skill.TRANSCRIPTION, Skill.ALIGNMENT, Skill.LIVE}),
    custom_vocab=True,
    word_confidence=True,
)
"""The capabilities of the engine's one model."""

MAX_SOUNDS = 20
"""Most `sounds_like` pronunciations of one custom word that are used."""

_FRAME: Samples = RATE // 100  # 10 ms
_SHORTEST: Samples = RATE // 20  # shorter audio has no word, and the decoder fails with less than two frames
_FILLERS = ("<", "[", "+")  # <s> </s> <sil> [noise] ++breath++
_WORD = re.compile("[a-z'.-]+")
_ALTERNATE = re.compile(r"\(\d+\)$")

# Logistic regression of the log odds that a word is right: a constant, and a weight for each field of `Evidence`. Fitted on
# ../shared/audio without the voice LJ, tested on other files: docs/accuracy.md names both and gives the command.
_CONSTANT = -0.65
_WEIGHTS = (0.30, 0.51, 1.05)
_UNSURE = 0.02  # added to a posterior and to its complement, because 0 and 1 have no finite log odds


class Evidence(NamedTuple):
    """Features of a word from which its confidence is computed; higher values mean more confidence.

    *odds*: log odds of its posterior. *around*: their mean over the words of its stretch, because errors come in runs.
    *agreed*: 1 if the decoder's first pass found the same word there, else 0.
    """

    odds: float
    around: float
    agreed: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """A word of the decoder's best path, spelled as in its dictionary; frames from the start of the stretch, inclusive."""

    word: str
    first: int
    last: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class _Seg:
    """One entry of the decoder's path: frames inclusive, *prob* linear 0..1."""

    word: str
    first: int
    last: int
    prob: float


def confidence(evidence: Evidence) -> float:
    """Return the probability, 0..1, that a word with this evidence is right."""
    odds = _CONSTANT + sum(weight * value for weight, value in zip(_WEIGHTS, evidence, strict=True))
    return 1.0 / (1.0 + math.exp(-odds))


class PocketSphinx:
    """A `Recognizer` with a loaded decoder; the constructor loads the model (0.3 s, 160 MB).

    Every utterance is recognised independently of earlier ones, so a job that resumes after a crash gets the same words.
    Custom words are added to a separate decoder that exists for one call.
    Errors: EngineUnavailable when the package or its model cannot be loaded.
    """

    def __init__(self) -> None:
        self._decoder = load_decoder()

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities: English, custom words, confidence; no punctuation."""
        return CAPABILITIES

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """Yield the words of each stretch, lower case except custom words, which are written as in their entry.

        Reads one stretch at a time. Errors: EngineUnavailable for a language other than English.
        """
        if hints.language not in CAPABILITIES.languages:
            raise EngineUnavailable(f"PocketSphinx supports English only, not {hints.language!r}")
        decoder = load_decoder() if hints.vocab else self._decoder
        written = _teach(decoder, hints.vocab)
        for stretch in speech:
            words = tuple(_words(stretch, _hear(decoder, stretch.audio), written))
            yield Recognized(start=stretch.start, end=stretch.end, items=words)

    def evidence(self, stretch: Speech) -> list[Decoded]:
        """Return the words decoded in *stretch* with their evidence; used to fit the confidence."""
        return _hear(self._decoder, stretch.audio)


Written = Mapping[tuple[str, ...], tuple[str, ...]]
"""Maps runs of dictionary words to their written form: custom words, and dictionary words in the caller's case."""


def dictionary_path() -> Path:
    """Return the path of the package's CMU dictionary: 135,000 words, one pronunciation a line."""
    from pocketsphinx import get_model_path

    return Path(get_model_path("en-us/cmudict-en-us.dict"))


def load_decoder() -> Any:
    """Return a new decoder with the package's model. Raises `EngineUnavailable`."""
    try:
        from pocketsphinx import Config, Decoder

        return Decoder(Config(loglevel="FATAL"))
    except Exception as error:
        raise EngineUnavailable(f"PocketSphinx cannot be loaded: {type(error).__name__}", at=None) from error


def pcm(audio: "NDArray[np.float32]") -> bytes:
    """Convert float32[n] in -1..1 to the decoder's input: 16-bit little-endian samples."""
    import numpy as np

    return (np.clip(np.nan_to_num(audio), -1.0, 1.0) * 32_767).astype("<i2").tobytes()


def _hear(decoder: Any, audio: "NDArray[np.float32]") -> list[Decoded]:
    """Return the words of the best path through one utterance, without silence and noise; may be empty."""
    if len(audio) < _SHORTEST:
        return []
    decoder.reinit_feat()  # otherwise the noise floor of the last utterance changes a few words
    decoder.start_utt()
    try:
        decoder.process_raw(pcm(audio), no_search=False, full_utt=True)
        first = _path(decoder)
    finally:
        decoder.end_utt()
    path = _path(decoder)
    odds = [math.log((seg.prob + _UNSURE) / (1.0 + _UNSURE - seg.prob)) for seg in path]
    around = fmean(odds) if odds else 0.0
    return [
        Decoded(seg.word, seg.first, seg.last, Evidence(own, around, float(_agrees(seg, first))))
        for seg, own in zip(path, odds, strict=True)
    ]


def _path(decoder: Any) -> list[_Seg]:
    """Return the best path so far; an alternate pronunciation has the name of its word."""
    if decoder.hyp() is None:
        return []
    return [
        _Seg(_ALTERNATE.sub("", seg.word), seg.start_frame, seg.end_frame, min(max(seg.prob, 0.0), 1.0))
        for seg in decoder.seg() or ()
        if not seg.word.startswith(_FILLERS)
    ]


def _agrees(seg: _Seg, others: Iterable[_Seg]) -> bool:
    """True if one of *others* is the same word and its overlap with *seg* is more than half of their union."""
    return any(
        other.word == seg.word
        and 2 * (min(seg.last, other.last) - max(seg.first, other.first) + 1)
        > max(seg.last, other.last) - min(seg.first, other.first) + 1
        for other in others
    )


def _words(stretch: Speech, heard: Sequence[Decoded], written: Written) -> Iterator[Word]:
    """Yield words with media times inside *stretch*; runs of decoded words are written as the longest matching entry."""
    names = [each.word for each in heard]
    longest = max(map(len, written), default=1)
    at = 0
    while at < len(heard):
        runs = (tuple(names[at : at + n]) for n in range(min(longest, len(heard) - at), 0, -1))
        run = next((run for run in runs if run in written), (names[at],))
        texts = written.get(run, run)
        parts = heard[at : at + len(run)]
        if len(texts) == len(parts):
            for text, each in zip(texts, parts, strict=True):
                yield _word(stretch, text, each, 0.0, 1.0)
        else:
            yield from _shared(stretch, texts, parts[0])
        at += len(run)


def _shared(stretch: Speech, texts: tuple[str, ...], heard: Decoded) -> Iterator[Word]:
    """Yield the words of a phrase that was decoded as one; they divide its time by their lengths in letters."""
    whole = sum(map(len, texts))
    said = 0
    for text in texts:
        yield _word(stretch, text, heard, said / whole, (said + len(text)) / whole)
        said += len(text)


def _word(stretch: Speech, text: str, heard: Decoded, begin: float, end: float) -> Word:
    """Return the part *begin* … *end* (fractions 0..1) of *heard* as a word, cut off at the end of the stretch."""
    first, length = heard.first * _FRAME, (heard.last + 1 - heard.first) * _FRAME
    return Word(
        text=text,
        start=min(stretch.start + first + round(length * begin), stretch.end),
        end=min(stretch.start + first + round(length * end), stretch.end),
        confidence=confidence(heard.evidence),
        language="en",
    )


def _teach(decoder: Any, vocab: Iterable[VocabEntry]) -> Written:
    """Add custom words to *decoder* (contract `batch-v2.md` §6.2); return how runs of dictionary words are written.

    A new word has a generated name in the dictionary, so that the library does not parse the caller's text. A single
    word that the dictionary has keeps its pronunciations and its place in the language model.
    """
    written: dict[tuple[str, ...], tuple[str, ...]] = {}
    added: list[tuple[str, str]] = []
    for number, entry in enumerate(vocab):
        texts = tuple(entry.content.split())
        if len(texts) > pronunciation.MAX_WORDS or max(map(len, texts), default=0) > pronunciation.MAX_LENGTH:
            continue  # §6.2: left out silently
        known = tuple(text.lower().replace("’", "'") for text in texts)
        written[(f"_{number}",)] = texts
        if not any("_" in word for word in known):  # only generated names contain "_"
            written[known] = texts
        spoken = list(entry.sounds_like[:MAX_SOUNDS])
        if not spoken and not (len(known) == 1 and _WORD.fullmatch(known[0]) and decoder.lookup_word(known[0])):
            spoken = [entry.content]
        sounds = dict.fromkeys(pronunciation.pronounce(text, decoder.lookup_word) for text in spoken)
        names = (f"_{number}" if nth == 1 else f"_{number}({nth})" for nth in count(1))
        added += zip(names, (" ".join(phones) for phones in sounds if phones), strict=False)
    for left, (name, phones) in zip(range(len(added) - 1, -1, -1), added, strict=True):
        decoder.add_word(name, phones, left == 0)  # True rebuilds the search: once, after the last word
    return written
