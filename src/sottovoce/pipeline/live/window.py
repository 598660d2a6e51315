"""The window of a live channel: its audio, and the final words in it, which later decodes get as context."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from sottovoce.engines.protocols import LiveWord
from sottovoce.pipeline.live import finals
from sottovoce.pipeline.live.policy import CONTEXT_GAP, DEAF, KEEP, MUTE
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


_BEFORE: Samples = RATE // 20  # audio (50 ms) before the first word of a context


class AudioBuffer:
    """The newest audio of a channel, from a moving beginning; times are samples of the channel."""

    def __init__(self) -> None:
        import numpy as np

        self._audio: Floats = np.zeros(RATE, np.float32)  # more than is in use, so that few appends copy
        self._size: Samples = 0
        self._start: Samples = 0

    @property
    def end(self) -> Samples:
        """The end of the newest audio."""
        return self._start + self._size

    def append(self, audio: "Floats") -> None:
        """Add float32[n] at the end."""
        import numpy as np

        size = self._size + len(audio)
        if size > len(self._audio):
            grown = np.zeros(2 * size, np.float32)
            grown[: self._size] = self._audio[: self._size]
            self._audio = grown
        self._audio[self._size : size] = audio
        self._size = size

    def part(self, start: Samples, end: Samples) -> "Floats":
        """Return a copy of the audio from *start* to *end*, as far as it is there."""
        return self._audio[max(start - self._start, 0) : min(max(end - self._start, 0), self._size)].copy()

    def forget(self, before: Samples) -> None:
        """Drop the audio before *before*."""
        drop = min(before - self._start, self._size)
        if drop >= RATE or drop == self._size > 0:  # less is not worth a copy
            kept = self._audio[drop : self._size].copy()
            self._audio[: len(kept)] = kept
            self._size = len(kept)
            self._start += drop


class Window:
    """The open utterance of a channel from *start* on, with the words in it that are final."""

    def __init__(self, start: Samples, *, spoken: Samples = 0, context: Sequence[LiveWord] = ()) -> None:
        self.floor = start  # new words begin here or later
        self.spoken = spoken  # samples of speech so far
        self.words: list[LiveWord] = list(context)  # with times of the channel
        self.start = max(context[0].start - _BEFORE, 0) if context else start
        self.silent_decodes = 0
        self._context = bool(context)  # all words are of the utterance before
        # start and words before a restart, while there are no new ones
        self._left: tuple[Samples, list[LiveWord]] | None = None

    @property
    def committed(self) -> list[LiveWord]:
        """The final words for the next decode, with times from the start of the window.

        The last one has no marks: after a full stop the model would end the text. The marks of an utterance before stay.
        """
        words = [replace(word, start=word.start - self.start, end=word.end - self.start) for word in self.words]
        if words and not self._context:
            words[-1] = replace(words[-1], text=finals.unmarked(words[-1].text))
        return words

    @property
    def has_context(self) -> bool:
        """True if its words are those of the utterance before, and none of its own."""
        return self._context

    @property
    def deaf_after(self) -> Samples:
        """The speech in which two decodes find no new word if the model has stopped writing."""
        return MUTE if self._context else DEAF

    def commit(self, words: Sequence[LiveWord]) -> None:
        """Add *words*, which are final now."""
        self.words.extend(words)
        self._context = False
        self._left = None

    def mark_last(self, text: str) -> None:
        """Replace the text of the last final word by *text*, which has marks now."""
        self.words[-1] = replace(self.words[-1], text=text)

    @property
    def oldest(self) -> Samples:
        """The beginning of the audio that the window may still need."""
        return self._left[0] if self._left else self.start

    def restart(self) -> None:
        """Begin the window right after its last final word, without context."""
        if self.words:
            self._left = (self.start, self.words) if self._context else None
            self.start = max(self.words[-1].end, self.floor)
        self.words = []
        self._context = False
        self.silent_decodes = 0

    def recall(self) -> bool:
        """Take back the context that a restart has left, if the window has no words since; False without one."""
        if self._left is None:
            return False
        (self.start, self.words), self._left, self._context = self._left, None, True
        return True

    def trim(self, newest: Samples, longest: Samples) -> bool:
        """Cut off the beginning of a window of more than *longest* between two final words; True if it was cut.

        At least `KEEP` of final audio stays, and the cut is in the longest pause, preferably after a sentence.
        """
        if newest - self.start <= longest:
            return False
        last = self.words[-1].end if self.words else self.start
        places = [
            (index, before, after)
            for index, (before, after) in enumerate(pairwise(self.words))
            if before.end <= last - KEEP and before.end > self.start + RATE // 2
        ]
        if not places:
            return False
        index, before, after = max(places, key=lambda place: _cut_score(place[1], place[2], self.start))
        self.start = (before.end + after.start) // 2
        self.words = self.words[index + 1 :]
        return True


def placed(found: Sequence[LiveWord], start: Samples, floor: Samples, end: Samples) -> tuple[LiveWord, ...]:
    """Return *found*, words of audio that begins at *start*, with times of the channel: in order, from *floor* to *end*."""
    words: list[LiveWord] = []
    for word in found:
        begin = min(max(word.start + start, floor), end)
        floor = min(max(word.end + start, begin), end)
        words.append(replace(word, start=begin, end=floor))
    return tuple(words)


def context_of(words: Sequence[LiveWord], start: Samples) -> tuple[LiveWord, ...]:
    """The last of *words*, of an utterance that has ended, for one that begins at *start*; none after a long pause."""
    if not words or start - words[-1].end > CONTEXT_GAP:
        return ()
    begin = words[-1].end - KEEP
    return tuple(word for word in words if word.start >= begin or word is words[-1])


def _cut_score(before: LiveWord, after: LiveWord, start: Samples) -> float:
    sentence = 0.5 if finals.marks_of(before.text)[:1] in {".", "?", "!", "。", "？", "！"} else 0.0
    return sentence + (after.start - before.end) / RATE + 0.02 * (before.end - start) / RATE
