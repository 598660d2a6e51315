"""The open segment of a voice agent's caller: the words so far, none of them final.

A segment consists of pieces. The words of a finished piece are settled: they were decoded as a whole with a wide search. Those of
the last piece come from short decodes of its newest audio, until it is decoded as a whole, too. Times are samples of the channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sottovoce.audio.activity import Span
from sottovoce.engines.protocols import LiveWord
from sottovoce.pipeline.live import finals
from sottovoce.pipeline.live.window import Window
from sottovoce.transcript.model import RATE, Item, Samples

_MARGIN: Samples = RATE
"""A division leaves at least this much audio (1 s) on both sides."""

_STOPS = frozenset(".?!。？！।؟")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """The *words* of the last piece, decoded as a whole; there was speech until *speech_end*."""

    words: tuple[LiveWord, ...]
    speech_end: Samples


class Segment:
    """The open segment, which began at *start*; *context*: the words just before it, of another segment."""

    def __init__(self, start: Samples, context: Sequence[LiveWord] = ()) -> None:
        self.begun = start
        self.settled: list[LiveWord] = []
        self.settled_items: tuple[Item, ...] = ()  # the same, formatted
        self.begin(start, context)

    def begin(self, start: Samples, context: Sequence[LiveWord], words: Sequence[LiveWord] = ()) -> None:
        """Begin a piece at *start* with *words*, which were heard already."""
        self.start = start
        self.context = tuple(context)
        self.window = Window(start, context=context)
        self.words: list[LiveWord] = []
        self.open: tuple[LiveWord, ...] = ()
        self.whole: Whole | None = None
        self.voiced: list[Span] = []
        if words:
            self.hear(words)

    @property
    def audio_start(self) -> Samples:
        """The beginning of the audio that decodes of the piece need."""
        return min(Window(self.start, context=self.context).start, self.window.start)

    @property
    def spoken(self) -> Samples:
        """Samples of speech in the piece."""
        return self.window.spoken

    @property
    def heard(self) -> tuple[LiveWord, ...]:
        """The words of the piece, the best known."""
        return self.whole.words if self.whole else (*self.words, *self.open)

    def speak(self, start: Samples, end: Samples) -> None:
        """There is speech from *start* to *end*, after all before; the piece must be decoded as a whole again."""
        self._resume()
        self.window.spoken += end - start
        if self.voiced and start <= self.voiced[-1].end:
            self.voiced[-1] = Span(start=self.voiced[-1].start, end=end)
        else:
            self.voiced.append(Span(start=start, end=end))

    def speak_after(self, voiced: Sequence[Span]) -> None:
        """Take over those parts of *voiced*, runs of speech of the piece before, that lie in this piece."""
        for run in voiced:
            if run.end > self.start:
                self.speak(max(run.start, self.start), run.end)

    def hear(self, words: Sequence[LiveWord]) -> None:
        """Add *words*; later short decodes begin with them."""
        self.words.extend(words)
        self.window.commit(words)

    def mark_last(self, text: str) -> None:
        """Give the last word the marks that it has in *text*, if that is the same word."""
        last = self.window.words[-1].text
        if self.words and finals.plain(text) == finals.plain(last):
            self.window.mark_last(finals.unmarked(last) + finals.marks_of(text))
            self.words[-1] = self.window.words[-1]

    def _resume(self) -> None:
        """Speech goes on after the piece was decoded as a whole: short decodes continue from these words."""
        if self.whole is None:
            return
        words, self.whole = self.whole.words, None
        spoken = self.window.spoken
        self.window = Window(self.start, spoken=spoken, context=() if words else self.context)
        self.words, self.open = [], ()
        if words:
            self.hear(words)

    def sentence_end(self) -> int | None:
        """The number of the last word of a sentence in the piece that other words follow; `None` if there is none."""
        known = [*self.words, *self.open]
        for number in range(min(len(self.words), len(known) - 1)):
            if ends_sentence(known[number].text) and known[number].end - self.start >= _MARGIN // 2:
                return number
        return None

    def longest_pause(self, newest: Samples) -> int | None:
        """The number of the word before the longest pause of the piece, with a margin to both ends; `None` without words."""
        known = [*self.words, *self.open]
        pauses = [
            (after.start - before.end + (RATE // 2 if ends_sentence(before.text) else 0), number)
            for number, (before, after) in enumerate(pairwise(known))
            if before.end >= self.start + _MARGIN and after.start <= newest - _MARGIN
        ]
        return max(pauses)[1] if pauses else None


def ends_sentence(text: str) -> bool:
    """Return True if the word *text* has the mark of a sentence's end; an ellipsis is none."""
    marks = finals.marks_of(text)
    return bool(_STOPS & set(marks)) and "..." not in marks


def sentences_of(words: Sequence[LiveWord]) -> list[Sequence[LiveWord]]:
    """Return *words* divided after each sentence's end."""
    found: list[Sequence[LiveWord]] = []
    begin = 0
    for number, word in enumerate(words, 1):
        if ends_sentence(word.text) or number == len(words):
            found.append(words[begin:number])
            begin = number
    return found
