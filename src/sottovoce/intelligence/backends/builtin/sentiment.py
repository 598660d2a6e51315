"""Sentiment by VADER's lexicon (MIT, package `vaderSentiment`), with phrases of complaint and of courtesy in front of it.

VADER adds up the values of words, with rules for negation and emphasis. On support calls it errs in two ways (measured by
`bench/intelligence.py`): a complaint that uses no word of feeling ("my order never arrived") is neutral to it, and a polite
formula ("thank you for calling, how can I help") is positive. The phrases below correct both. English only.
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from sottovoce.intelligence.sentiment import Judged, Sentiment

LIMIT = 0.05
"""The compound score, -1..1, from which VADER's authors call a text positive or, below its negative, negative."""
COMPLAINT = -0.45
"""Added to the score of a text for its first complaint; VADER gives -0.48 for "this is terrible"."""
EVERY = 64  # texts between two signs of life

_COMPLAINTS = re.compile(
    r"\b(?:never (?:arrived|came|showed up|called|got|received|worked|heard)|(?:has|have|had)(?:n't| not) (?:arrived|come|received)"
    r"|waste of|(?:charged|billed|paid) (?:me |us )?(?:twice|double|again)|double charged|overcharged"
    r"|keeps? (?:crashing|freezing|failing|breaking|dropping|asking|hanging)|still (?:waiting|broken|not|isn't|hasn't|doesn't)"
    r"|(?:does|do|did|is|are|was)(?:n't| not) (?:work|working|help|helpful|happy|satisfied|acceptable|good enough)"
    r"|stopped working|no (?:one|body) (?:answers?|answered|called|helps?|helped|knows|told)|nobody (?:answers?|called|told)"
    r"|hung up on|on hold for|money back|(?:cancel|close) (?:my|our|the) (?:subscription|account|contract|order)"
    r"|wrong (?:item|order|size|address|amount|product|one)"
    r"|fell apart|out of order|broke (?:down|after)|arrived (?:broken|late|damaged)"
    r"|third time|(?:two|three|four|five|six|several) times (?:already|now)"
    r"|make a complaint|speak to (?:a|your) (?:manager|supervisor)"
    r"|past (?:the )?due|days late|weeks late|hours late|too (?:slow|late|expensive|loud|long)|lost my|leak(?:s|ing)"
    r"|can(?:'t|not) (?:log in|use|open|reach|get (?:through|in|it)|connect)|unable to|refus(?:e|es|ed) to)\b",
    re.IGNORECASE,
)
_COURTESIES = re.compile(
    r"\b(?:thank you for (?:calling|holding|waiting|your call|your patience)|thanks for (?:calling|holding|waiting)"
    r"|good (?:morning|afternoon|evening)|how (?:can|may) i help(?: you)?(?: today)?|(?:can|could|may) i help(?: you)?"
    r"|(?:can|could|would|will) you (?:please )?(?:help|share|confirm)(?: me)?|(?:i|we)(?:'d| would) like to|would you like"
    r"|please|(?:yes|yeah|okay|ok|sure|well|right|alright)(?=[,.!?]|$)|kind of|sort of|feel free|interest rates?|numbers?|dear)\b",
    re.IGNORECASE,
)


class LexiconSentiment:
    """A `SentimentBackend`. The lexicon is read at the first use."""

    languages = frozenset({"en"})

    @cached_property
    def _analyzer(self) -> Any:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        return SentimentIntensityAnalyzer()

    def judge(self, texts: Sequence[str], alive: Callable[[], None]) -> Sequence[Judged]:
        """Return the sentiment of each of *texts*."""
        found = []
        for number, text in enumerate(texts):
            if number % EVERY == 0:
                alive()
            found.append(judged(self.score(text)))
        return found

    def score(self, text: str) -> float:
        """Return the score of *text*, -1 (negative) … 1 (positive)."""
        plain = text.replace("’", "'")
        compound = float(self._analyzer.polarity_scores(_COURTESIES.sub(" ", plain))["compound"])
        if _COMPLAINTS.search(plain):
            compound = min(compound, 0.0) + COMPLAINT
        return max(-1.0, min(1.0, compound))


def judged(score: float) -> Judged:
    """Return the sentiment of *score* and the share of such scores that are right on the utterances of the bench.

    Of a positive or negative score, the share rises with its distance from 0; of a neutral one, which is often a sentiment
    that the lexicon does not know, it is about two thirds.
    """
    strength = abs(score)
    if strength < LIMIT:
        return Judged(sentiment=Sentiment.NEUTRAL, confidence=0.67)
    confidence = 0.55 + 0.4 / (1 + math.exp(-6 * (strength - 0.45)))
    return Judged(sentiment=Sentiment.POSITIVE if score > 0 else Sentiment.NEGATIVE, confidence=confidence)
