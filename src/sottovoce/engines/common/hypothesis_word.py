"""A word of an engine's hypothesis, with attached punctuation, before it becomes an item of the transcript."""

import unicodedata
from dataclasses import dataclass

from sottovoce.transcript.model import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class HypothesisWord:
    """*text* as written, with punctuation and a leading blank; *start* and *end* in samples at 16 kHz.

    *probability* 0..1 as the engine reports it, not calibrated.
    """

    text: str
    start: Samples
    end: Samples
    probability: float

    @property
    def middle(self) -> Samples:
        """The middle of the word, in samples: its position where one number is needed."""
        return (self.start + self.end) // 2


def comparison_key(text: str) -> str:
    """The part of *text* used in comparisons: letters with their vowel signs, and digits, case-folded.

    Empty if *text* has only punctuation.
    """
    composed = unicodedata.normalize("NFC", text).casefold()
    return "".join(char for char in composed if char.isalnum() or unicodedata.category(char).startswith("M"))
