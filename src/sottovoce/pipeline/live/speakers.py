"""Speakers of a live channel: passes its speech to a live diarizer, and its labels to items."""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from sottovoce.engines.protocols import LiveDiarizer
from sottovoce.transcript.model import RATE, UNKNOWN_SPEAKER, Attaches, Item, Mark, Samples, Speaker, SpeakerLabel
from sottovoce.transcript.speakers import by_sentence, spoken_by

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SPEECH = 0.35
"""Speech probability of a frame that is diarized; the same threshold and padding as in batch (`pipeline/diarization.py`)."""

CERTAIN: Samples = 2 * RATE
"""Audio (2 s) after which a label is reliable."""

SAID: Samples = RATE
"""Speech (1 s) of another speaker that ends a segment while its turn goes on; a shorter remark ends it later, if at all."""

PAD: Samples = RATE // 5
"""Audio (200 ms) around such frames that is diarized, too."""


class SpeakerTrack:
    """The speakers of one channel. Times are samples of the channel."""

    def __init__(self, diarizer: LiveDiarizer, *, prefer_current: bool = False) -> None:
        self._diarizer = diarizer
        self._prefer_current = prefer_current
        self._quiet: deque[tuple[Samples, Floats]] = deque()
        self._until: Samples = 0  # audio until then is diarized
        self._last: SpeakerLabel = UNKNOWN_SPEAKER  # of the last final word

    def hear(self, audio: "Floats", judged: Sequence[tuple[Samples, float]], frame: Samples) -> None:
        """Take *audio*, in which the speech detector *judged* frames: beginnings and probabilities. The last may be shorter."""
        if not judged:
            return
        begin = judged[0][0]
        for start, probability in judged:
            part = audio[start - begin : start - begin + frame]
            if not len(part):
                continue
            if probability >= SPEECH:
                while self._quiet:
                    before, sound = self._quiet.popleft()
                    self._diarizer.push(sound, before)
                self._until = start + frame + PAD
            if start < self._until:
                self._diarizer.push(part, start)
                continue
            self._quiet.append((start, part))
            while self._quiet[0][0] + frame <= start - PAD:
                self._quiet.popleft()

    def preview(self, words: Sequence[tuple[Samples, Samples]]) -> tuple[SpeakerLabel, ...]:
        """The speakers of *words*, given by start and end, as far as they are known now."""
        return self._diarizer.labels(words, final=False)

    def settled(self, start: Samples, end: Samples) -> SpeakerLabel:
        """The speaker of the final word of *start* … *end*, which keeps it."""
        return self._diarizer.labels([(start, end)], final=True)[0]

    def labelled(
        self,
        items: tuple[Item, ...],
        *,
        final: bool,
        before: Sequence[Item] = (),
        after: Sequence[Item] = (),
        complete: bool = False,
    ) -> tuple[Item, ...]:
        """Return *items* with their speakers; a mark has that of its word. *final*: they keep them.

        Sentences are corrected as in batch, as far as they are known: *before* are final items with speakers, *after* those that
        follow and are not final. A corrected word has the speaker of others, and does not count as speech of its own. Unless
        all is *complete*, the last run of words of one speaker is not corrected, because that speaker may go on.
        """
        spans, known = _spans(items), [item for item in before if not isinstance(item, Mark)]
        preview = self._diarizer.labels([*spans, *_spans(after)], final=False)
        line = [*before, *items, *after]
        found = iter([*(item.speaker or UNKNOWN_SPEAKER for item in known), *preview])
        labels = [UNKNOWN_SPEAKER if isinstance(item, Mark) else next(found) for item in line]
        corrected = by_sentence(line, labels, prefer_current=self._prefer_current)
        if not complete and preview:
            for number in range(len(line) - 1, -1, -1):
                if not isinstance(line[number], Mark) and labels[number] != preview[-1]:
                    break
                corrected[number] = labels[number]
        mine = slice(len(before), len(before) + len(items))
        wanted = [label for item, label in zip(items, corrected[mine], strict=True) if not isinstance(item, Mark)]
        if final:
            wanted = self._settled(spans, preview[: len(spans)], wanted, {item.speaker for item in known})
        return self._spoken(items, wanted, final=final)

    def _settled(
        self,
        spans: Sequence[tuple[Samples, Samples]],
        preview: Sequence[SpeakerLabel],
        wanted: Sequence[SpeakerLabel],
        known: Collection[SpeakerLabel | None],
    ) -> list[SpeakerLabel]:
        """Make the labels of *spans* final: *wanted* if a final word has it (*known*, or one of these), otherwise their own."""
        own = set(preview) & {label for label, found in zip(wanted, preview, strict=True) if label == found} | set(
            known
        )
        kept = [label == found or label not in own for label, found in zip(wanted, preview, strict=True)]
        labels = iter(self._diarizer.labels([span for span, keep in zip(spans, kept, strict=True) if keep], final=True))
        settled = [next(labels) if keep else None for keep in kept]
        # without the speakers that were corrected away, the numbers of new ones may be lower
        number = {label: new for label, new in zip(preview, settled, strict=True) if new is not None}
        return [new or number.get(label, label) for label, new in zip(wanted, settled, strict=True)]

    def _spoken(self, items: tuple[Item, ...], of_words: Iterable[SpeakerLabel], *, final: bool) -> tuple[Item, ...]:
        """Return *items* with the speakers of their words; a mark has that of its word."""
        each = iter(of_words)
        labels = [None if isinstance(item, Mark) else next(each) for item in items]
        last = self._last
        found: list[Item] = []
        for number, (item, label) in enumerate(zip(items, labels, strict=True)):
            if label is None and isinstance(item, Mark) and item.attaches is Attaches.NEXT:
                last = next((after for after in labels[number:] if after is not None), last)
            last = last if label is None else label
            found.append(spoken_by(item, last))
        if final:
            self._last = last
        return tuple(found)

    def speakers(self) -> tuple[Speaker, ...]:
        """Return the speakers of the final words so far, with their prints."""
        return self._diarizer.speakers()


def by_speaker(items: Iterable[Item]) -> list[tuple[Item, ...]]:
    """Return *items* divided where the speaker changes."""
    return [tuple(run) for _, run in groupby(items, key=lambda item: item.speaker)]


def change(words: Sequence[tuple[Samples, Samples]], labels: Sequence[SpeakerLabel], newest: Samples) -> int | None:
    """Return the number of the first of *words* that certainly has another speaker than those before; `None` if none has.

    It is certain `CERTAIN` after its beginning, which *newest* must have reached. Both speakers must have said at least `SAID`
    without another one.
    """
    before: SpeakerLabel | None = None
    at = 0
    for label, run in groupby(labels):
        begin, first, at = words[at][0], at, at + len(list(run))
        if words[at - 1][1] - begin < SAID:
            continue
        if before not in {None, label} and newest - begin >= CERTAIN:
            return first
        before = before if before is not None else label
    return None


def _spans(items: Iterable[Item]) -> list[tuple[Samples, Samples]]:
    return [(item.start, item.end) for item in items if not isinstance(item, Mark)]
