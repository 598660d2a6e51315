"""The times of words by forced alignment with PocketSphinx: Moonshine's decoder tells no times, not even by its attention.

One decoder with the package's dictionary serves all texts. Words that the dictionary lacks (`$5`, `1984`, names) are added under
generated names with the pronunciations of their spoken forms, so the library never reads a text itself.
"""

import re
import threading
from collections.abc import Iterable, Sequence
from itertools import accumulate, count, pairwise
from typing import TYPE_CHECKING, Any

from sottovoce.audio.activity import Span
from sottovoce.engines.common.hypothesis_word import comparison_key
from sottovoce.engines.pocketsphinx import pronunciation
from sottovoce.engines.pocketsphinx.recognizer import pcm
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.model import RATE, Samples
from sottovoce.transcript.verbalization import spoken
from sottovoce.transcript.verbalization.variants import Way

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MOST_ADDED = 5_000
"""Words that are added to one decoder; after them it is loaded anew, so that the dictionary of a long session stays small."""

_FRAME: Samples = RATE // 100
_SHORTEST: Samples = RATE // 10  # shorter audio has no path through a word
_FILLERS = ("<", "[", "+")  # <s> </s> <sil> [noise] ++breath++
_WORD = re.compile("[a-z]+(?:'[a-z]+)?")
_LANGUAGE = "en"
_CUT = 2  # words at the end of the audio that may be cut off
_OWN = "_"  # begins the names of added words
_GROUP = re.compile(r"\d{2}")  # digits that may be said one by one

# Every second frame is scored, against the two nearest of the four Gaussians. Measured on 320 words: half the time (0.007 s for a
# second of audio in place of 0.014), starts moved by 0.01 s (docs/accuracy.md).
_FAST = {"ds": 2, "topn": 2}


class Placer:
    """Places words in audio; the constructor loads the decoder (0.2 s, 50 MB). Thread-safe.

    Raises `EngineUnavailable` if PocketSphinx cannot be loaded.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._load()

    def _load(self) -> None:
        try:
            from pocketsphinx import Config, Decoder

            self._decoder: Any = Decoder(Config(loglevel="FATAL", lm=None, **_FAST))
        except Exception as error:
            raise EngineUnavailable(
                f"the times of Moonshine's words need PocketSphinx, which cannot be loaded: {type(error).__name__}",
                at=None,
            ) from error
        self._names: dict[str, str] = {}

    def place(self, audio: "Floats", words: Sequence[str], voiced: Sequence[Span]) -> list[tuple[Samples, Samples]]:
        """Start and end of each of *words*, which are all that is said in *audio* (float32[n] at 16 kHz), in order.

        *voiced*: its runs of speech. Words that cannot be placed share the speech between their neighbours by length.
        """
        found: list[tuple[Samples, Samples] | None] = [None] * len(words)
        with self._lock:
            if len(self._names) > MOST_ADDED:
                self._load()
            names = self._named(words)
            said = [number for number, name in enumerate(names) if name]
            path = self._longest_path(audio, [names[number] for number in said])
            if not path and (known := [number for number in said if not names[number].startswith(_OWN)]) != said:
                # a number may be said in another way than those that were tried: the added words are left out
                said, path = known, self._longest_path(audio, [names[number] for number in known])
        for number, (first, last) in zip(said, path, strict=False):
            found[number] = min(first * _FRAME, len(audio)), min((last + 1) * _FRAME, len(audio))
        return filled(found, [len(comparison_key(word)) for word in words], voiced, len(audio))

    def _longest_path(self, audio: "Floats", names: Sequence[str]) -> list[tuple[int, int]]:
        """The path of all *names*, or else without up to `_CUT` last ones, which the end of the audio may have cut off."""
        for size in range(len(names), max(len(names) - _CUT - 1, 0), -1):
            if path := self._path(audio, names[:size]):
                return path
        return []

    def _path(self, audio: "Floats", names: Sequence[str]) -> list[tuple[int, int]]:
        """First and last frame of each of *names*, or of the first of them if the audio ends before; empty without a path."""
        if not names or len(audio) < _SHORTEST:
            return []
        decoder = self._decoder
        decoder.set_align_text(" ".join(names))
        decoder.reinit_feat()
        decoder.start_utt()
        try:
            decoder.process_raw(pcm(audio), no_search=False, full_utt=True)
        finally:
            decoder.end_utt()
        if decoder.hyp() is None:
            return []
        return [(seg.start_frame, seg.end_frame) for seg in decoder.seg() or () if not seg.word.startswith(_FILLERS)]

    # ── the dictionary ──

    def _named(self, words: Sequence[str]) -> list[str]:
        """The name in the dictionary of each of *words*; empty for one without sound."""
        plain = [self._plain(word) for word in words]
        if not all(plain):
            read = spoken(words, _LANGUAGE)
            plain = [
                name or self._added((*ways, *_digits(word)))
                for name, word, ways in zip(plain, words, read, strict=True)
            ]
        return plain

    def _plain(self, word: str) -> str:
        """*word* as the dictionary has it; empty for one that it lacks."""
        text = word.lower().replace("’", "'").strip(".,?!;:\"'")
        return text if _WORD.fullmatch(text) and self._decoder.lookup_word(text) else ""

    def _added(self, ways: tuple[Way, ...]) -> str:
        """The generated name of a word with these spoken forms; empty if they have no sound."""
        key = repr(ways)
        if key not in self._names:
            sounds = dict.fromkeys(sound for way in ways if (sound := " ".join(self._phones(way))))
            name = f"{_OWN}{len(self._names)}" if sounds else ""
            numbered = (name if nth == 1 else f"{name}({nth})" for nth in count(1))
            for each, sound in zip(numbered, sounds, strict=False):
                self._decoder.add_word(each, sound, update=False)
            self._names[key] = name
        return self._names[key]

    def _phones(self, way: Way) -> tuple[str, ...]:
        together = [phone for token in way for phone in pronunciation.pronounce(token, self._decoder.lookup_word)]
        return tuple(together[: pronunciation.MAX_PHONES])


def _digits(word: str) -> Iterable[Way]:
    """*word* read digit by digit, if it has two digits in a row."""
    return [tuple(char for char in word if char.isdigit())] if _GROUP.search(word) else []


def filled(
    found: Sequence[tuple[Samples, Samples] | None], letters: Sequence[int], voiced: Sequence[Span], end: Samples
) -> list[tuple[Samples, Samples]]:
    """*found* with times for each None: those words share the speech between their neighbours by their *letters*.

    The audio ends at *end*. Without speech there, they share all of the time.
    """
    placed: list[tuple[Samples, Samples]] = []
    at = 0
    while at < len(found):
        here = found[at]
        if here is not None:
            placed.append(here)
            at += 1
            continue
        after = next((number for number in range(at, len(found)) if found[number] is not None), len(found))
        next_start = found[after][0] if after < len(found) else end  # type: ignore[index] # `after` is one that has a time
        begin = placed[-1][1] if placed else 0
        placed += _shared(_speech(voiced, begin, next_start), letters[at:after])
        at = after
    return placed


def _speech(voiced: Iterable[Span], begin: Samples, end: Samples) -> Span:
    """The time from the first to the last speech between *begin* and *end*; all of it without any."""
    runs = [run for run in voiced if run.start < end and run.end > begin]
    if not runs:
        return Span(start=begin, end=max(begin, end))
    return Span(start=max(begin, runs[0].start), end=min(end, runs[-1].end))


def _shared(room: Span, letters: Sequence[int]) -> Iterable[tuple[Samples, Samples]]:
    whole = max(sum(letters), 1)
    return pairwise(room.start + (room.end - room.start) * said // whole for said in accumulate(letters, initial=0))
