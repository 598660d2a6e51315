"""The sentences of one live channel, cut from its finals as batch cuts those of a transcript, each with its audio if needed."""

from typing import TYPE_CHECKING

from sottovoce.intelligence.sentences import PAUSE, sentence_of, split
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.beside.recent_audio import RecentAudio
from sottovoce.request import LiveTranslation
from sottovoce.transcript.model import RATE, Item, Mark, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

AROUND: Samples = RATE // 5
"""Audio before and after a sentence."""
LONGEST: Samples = 28 * RATE
"""A sentence is heard up to this length: Whisper's window has 30 s."""


class SentenceCutter:
    """Cuts the finals of the channel *number*. A sentence is complete with its mark, a pause, another speaker, or its utterance."""

    def __init__(self, number: int, language: str, translation: LiveTranslation) -> None:
        self._number = number
        self._language = language
        self._partials = translation.partials
        self._audio = RecentAudio() if translation.heard else None
        self._open: list[Item] = []
        self._shown = ""  # the text of the last partial

    def heard(self, audio: "Floats") -> list[events.Event]:
        """Keep the next samples of the channel; they complete no sentence."""
        if self._audio is not None:
            self._audio.push(audio)
        return []

    def final(self, event: events.Final) -> list[events.Event]:
        """Return the sentences that *event* completes."""
        parts = list(split([*self._open, *event.items]))
        if not parts:
            return []
        last = parts[-1]
        ended = any(isinstance(item, Mark) and item.ends_sentence for item in last)
        self._open = [] if ended or event.end - last[-1].end >= PAUSE else parts.pop()
        return [made for part in parts if (made := self._sentence(part, final=True))]

    def partial(self, event: events.Partial) -> list[events.Event]:
        """Return everything that is open as one sentence, if it has changed and partials are wanted."""
        if not self._partials:
            return []
        made = self._sentence([*self._open, *event.items], final=False)
        if made is None or made.text == self._shown:
            return []
        self._shown = made.text
        return [made]

    def flush(self) -> list[events.Event]:
        """Return the open sentence: nothing follows that belongs to it."""
        part, self._open = self._open, []
        made = self._sentence(part, final=True)
        return [made] if made else []

    def _sentence(self, part: list[Item], *, final: bool) -> events.SentenceHeard | None:
        found = sentence_of(part, self._language)
        if found is None:
            return None
        audio, lead = b"", 0
        if final:
            self._shown = ""
            if self._audio is not None:
                first = max(0, found.start - AROUND)
                audio, begun = self._audio.cut(first, min(found.end + AROUND, first + LONGEST))
                lead = max(0, found.start - begun)
        return events.SentenceHeard(
            channel=self._number, start=found.start, end=found.end, text=found.text, speaker=found.speaker,
            final=final, audio=audio, lead=lead,
        )  # fmt: skip
