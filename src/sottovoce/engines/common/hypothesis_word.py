"""A word as an engine wrote it: with the marks that cling to it, before it becomes an item of the transcript."""

import unicodedata
from dataclasses import dataclass

from sottovoce.transcript.model import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class HypothesisWord:
    """*text* as written, marks and a leading blank included; *probability* 0..1 as the engine gives it."""

    text: str
    start: Samples
    end: Samples
    probability: float

    @property
    def middle(self) -> Samples:
        """Where the word is, when it must be at one place."""
        return (self.start + self.end) // 2


def comparison_key(text: str) -> str:
    """What of *text* is compared: letters with their vowel signs, and digits, without case; empty for marks alone."""
    composed = unicodedata.normalize("NFC", text).casefold()
    return "".join(char for char in composed if char.isalnum() or unicodedata.category(char).startswith("M"))
