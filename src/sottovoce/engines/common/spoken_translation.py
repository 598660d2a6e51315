"""Translation of the sentences of a transcript into English by Whisper: each sentence is heard again, with the translate task.

A sentence is a stretch of its own, so that its English text is its own too: Whisper's translation of a longer stretch cannot be
divided, because its words have no times.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sottovoce.audio import media
from sottovoce.audio.activity import Span, Speech
from sottovoce.engines.protocols import Hints, SpeechTranslator
from sottovoce.intelligence.protocols import Scene, Sentence
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

ENGLISH = "en"
AROUND: Samples = RATE // 5
"""Audio before and after a sentence."""
LONGEST: Samples = 28 * RATE
"""A sentence is heard up to this length: Whisper's window has 30 s."""


class SpokenTranslation:
    """The backend of translation into English by *translator*."""

    targets = frozenset({ENGLISH})

    def __init__(self, translator: SpeechTranslator) -> None:
        self._translator = translator
        self.languages = translator.capabilities.languages - {ENGLISH}

    def translate(self, scene: Scene, target: str) -> Sequence[str]:
        """Return each sentence in English, empty where Whisper hears nothing in it."""
        if target not in self.targets:
            raise ValueError(target)
        hints = Hints(language=scene.language, operating_point=scene.request.operating_point)
        found = [""] * len(scene.sentences)
        for label in dict.fromkeys(each.channel for each in scene.sentences):
            ours = [each for each in scene.sentences if each.channel == label]
            index = scene.transcript.channels.index(label) if label is not None else 0
            for sentence, speech in zip(ours, _cut(scene, ours, index, split=label is not None), strict=True):
                # a call for each: in one call, neighbours that overlap would share words
                heard = self._translator.translate([speech], hints)
                found[sentence.id] = join([item for each in heard for item in each.items], pack(ENGLISH))
                scene.alive()
        return found


def _cut(scene: Scene, sentences: Sequence[Sentence], index: int, *, split: bool) -> Iterator[Speech]:
    """Yield the audio of each of *sentences*, which are sorted by their start; at most a sentence and a block are held."""
    import numpy as np

    decoder = media.decode(scene.path, split=split, track=scene.track)
    blocks = (block[index] for block in decoder)
    held: Floats = np.zeros(0, np.float32)
    begin: Samples = 0
    for sentence in sentences:
        first = max(0, sentence.start - AROUND)
        last = min(sentence.end + AROUND, first + LONGEST)
        while begin + len(held) < last and (block := next(blocks, None)) is not None:
            held = np.concatenate([held, block])
            if (gone := min(len(held), first - begin)) > 0:
                held, begin = held[gone:], begin + gone
        audio = held[max(0, first - begin) : max(0, last - begin)]
        start, end = max(first, sentence.start), min(last, sentence.end)
        yield Speech(start=first, audio=audio, voiced=(Span(start=start, end=max(start + 1, end)),))
