"""Sentiment of each sentence, and how often each occurs: in all, for each speaker, and for each channel (contract §7.6)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from sottovoce.intelligence.protocols import Scene, Sentence, Stage
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, UNKNOWN_SPEAKER, Samples, seconds

FEW_WORDS = 2
"""An utterance of at most two words says too little alone, so that it joins its neighbour (contract §7.6)."""
NEAR: Samples = 2 * RATE
"""A neighbour begins at most 2 s after the other one ends."""


class Sentiment(StrEnum):
    """The three values of the contract."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The sentiment of one text, and how probable it is that this is right, 0..1."""

    sentiment: Sentiment
    confidence: float


class SentimentBackend(Protocol):
    """Texts to sentiments."""

    @property
    def languages(self) -> frozenset[str]:
        """The languages that it supports."""
        ...

    def judge(self, texts: Sequence[str], alive: Callable[[], None]) -> Sequence[Judged]:
        """Return one `Judged` for each text, in order."""
        ...


def _run(scene: Scene, backend: SentimentBackend) -> object:
    segments = merged(scene.sentences)
    judged = backend.judge([segment.text for segment in segments], scene.alive)
    if len(judged) != len(segments) or not all(0 <= each.confidence <= 1 for each in judged):
        raise ValueError(f"{len(judged)} sentiments for {len(segments)} segments, or a confidence that is not in 0..1")
    rows = [_segment(segment, each) for segment, each in zip(segments, judged, strict=True)]
    labelled = [(segment, each.sentiment) for segment, each in zip(segments, judged, strict=True)]
    return {
        "segments": rows,
        "summary": {
            "overall": _counts(sentiment for _, sentiment in labelled),
            "speakers": _by("speaker", ((segment.speaker or UNKNOWN_SPEAKER, s) for segment, s in labelled)),
            "channels": _by("channel", ((segment.channel, s) for segment, s in labelled if segment.channel)),
        },
    }


def merged(sentences: Iterable[Sentence]) -> list[Sentence]:
    """Return *sentences* with those of one or two words joined to the next of the same voice, or to the one before."""
    found: list[Sentence] = []
    for sentence in sentences:
        last = found[-1] if found else None
        short = last is not None and min(sentence.words, last.words) <= FEW_WORDS
        if last and short and _continues(last, sentence):
            text = last.text + pack(last.language).delimiter + sentence.text
            found[-1] = replace(last, end=max(last.end, sentence.end), text=text, words=last.words + sentence.words)
        else:
            found.append(sentence)
    return found


def _continues(last: Sentence, sentence: Sentence) -> bool:
    same = (last.speaker, last.channel, last.language) == (sentence.speaker, sentence.channel, sentence.language)
    return same and sentence.start - last.end <= NEAR


def _segment(segment: Sentence, judged: Judged) -> dict[str, Any]:
    body: dict[str, Any] = {
        "text": segment.text,
        "sentiment": str(judged.sentiment),
        "start_time": seconds(segment.start),
        "end_time": seconds(segment.end),
        "speaker": segment.speaker or UNKNOWN_SPEAKER,
        "confidence": round(judged.confidence, 2),
    }
    if segment.channel is not None:
        body["channel"] = segment.channel
    return body


def _counts(found: Iterable[Sentiment]) -> dict[str, int]:
    values = list(found)
    return {f"{each}_count": values.count(each) for each in (Sentiment.POSITIVE, Sentiment.NEGATIVE, Sentiment.NEUTRAL)}


def _by(kind: str, labelled: Iterable[tuple[str, Sentiment]]) -> list[dict[str, Any]]:
    groups: dict[str, list[Sentiment]] = {}
    for label, sentiment in labelled:
        groups.setdefault(label, []).append(sentiment)
    return [{kind: label, **_counts(found)} for label, found in sorted(groups.items())]


STAGE = Stage(
    name="sentiment",
    feature="sentiment_analysis",
    asked=lambda request: request.sentiment_analysis,
    run=_run,
    unsupported="Sentiment analysis not supported for {language}.",
    failed="Sentiment Analysis failed.",
)
